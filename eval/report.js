"use strict";
// The tables of the report. A click on a heading sorts a table. A table that is wider than its box gets a
// note above it. The script uses no libraries and loads nothing.
(() => {
  const valueOf = (row, column) => {
    const text = row.cells[column].textContent.trim().replace("\u2212", "-");
    if (text === "\u2013") return null;
    const number = Number(text);
    return Number.isNaN(number) ? text : number;
  };
  const compare = (a, b) => {
    if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;  // absent values come last
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), "en", { numeric: true });
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((h) => h.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...table.tBodies[0].rows];
      rows.sort((r, s) => {
        const a = valueOf(r, column), b = valueOf(s, column);
        return (up || a === null || b === null ? 1 : -1) * compare(a, b);
      });
      table.tBodies[0].append(...rows);
    }));
  }

  // A wide table scrolls in its box, also by keyboard. A line above the table says so.
  const boxes = [...document.querySelectorAll(".scroll")];
  const look = (box) => {
    const wide = box.scrollWidth > box.clientWidth + 1;
    const sign = box.previousElementSibling;
    sign.hidden = !wide;
    box.classList.toggle("more", wide && box.scrollLeft + box.clientWidth < box.scrollWidth - 1);
    if (wide || box.scrollHeight > box.clientHeight + 1) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  };
  for (const box of boxes) {
    const sign = document.createElement("p");
    sign.className = "sign";
    sign.textContent = "This table is wider than the page. Scroll it sideways \u2192";
    box.before(sign);
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", `Table, ${box.closest("section").querySelector("h2").textContent}`);
    box.addEventListener("scroll", () => look(box));
    new ResizeObserver(() => look(box)).observe(box);
    look(box);
  }
})();
