"use strict";
// Tables that sort, and the viewer: three linked planes on plain canvases. No libraries, nothing is loaded.
(() => {
  // ---- tables ----
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

  // ---- packed voxels ----
  const unpack = (packed, count) => {
    const text = atob(packed.data);
    const wide = packed.bits === 16;
    const word = wide ? (i) => text.charCodeAt(2 * i) | (text.charCodeAt(2 * i + 1) << 8) : (i) => text.charCodeAt(i);
    const out = wide ? new Uint16Array(count) : new Uint8Array(count);
    const words = text.length / (wide ? 2 : 1);
    if (!packed.runs) {
      for (let i = 0; i < count; ++i) out[i] = word(i);
      return out;
    }
    for (let i = 0, at = 0; i < words; i += 2) {
      const end = at + word(i + 1);
      out.fill(word(i), at, end);
      at = end;
    }
    return out;
  };

  // ---- colours ----
  // Anchors of the "inferno" map (matplotlib, CC0).
  const anchors = [[0, 0, 4], [66, 10, 104], [147, 38, 103], [221, 81, 58], [252, 165, 10], [252, 255, 164]];
  const heat = new Uint8ClampedArray(256 * 4);
  for (let i = 0; i < 256; ++i) {
    // The dark start of the map cannot be told from the image; begin at a fifth of it.
    const at = (0.2 + 0.8 * i / 255) * (anchors.length - 1);
    const k = Math.min(Math.floor(at), anchors.length - 2);
    for (let c = 0; c < 3; ++c) heat[4 * i + c] = anchors[k][c] + (at - k) * (anchors[k + 1][c] - anchors[k][c]);
    heat[4 * i + 3] = 255 * Math.min(1, i / 40);  // values near zero fade out
  }
  const pale = (colour) => {
    const rgb = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
    return `rgb(${rgb.map((v) => Math.round(v + 0.62 * (255 - v))).join(",")})`;
  };
  const number = (v, digits) => v.toFixed(digits).replace("-", "\u2212");

  // Display axes: x to the patient's left, y to posterior, z to superior. Rows of coronal and sagittal slices run
  // from superior to inferior.
  const kinds = {
    axial: { column: 0, row: 1, slice: 2, up: false, letters: ["R", "L", "A", "P"] },
    coronal: { column: 0, row: 2, slice: 1, up: true, letters: ["R", "L", "S", "I"] },
    sagittal: { column: 1, row: 2, slice: 0, up: true, letters: ["A", "P", "S", "I"] },
  };

  class Viewer {
    constructor(section) {
      const data = JSON.parse(section.querySelector('script[type="application/json"]').textContent);
      this.data = data;
      this.section = section;
      const count = data.shape[0] * data.shape[1] * data.shape[2];
      this.image = unpack(data.image, count);
      this.truth = data.truth ? unpack(data.truth, count) : null;
      this.mask = data.mask ? unpack(data.mask, count) : null;
      this.maps = data.maps.map((m) => ({ ...m, values: unpack(m, count) }));
      this.controls = {};
      for (const c of section.querySelectorAll("[data-role]")) this.controls[c.dataset.role] = c;
      this.position = this.start();
      this.planes = [...section.querySelectorAll(".plane")].map((figure) => this.plane(figure));
      this.resetWindow();
      this.wire();
      this.layout();
      new ResizeObserver(() => this.layout()).observe(section.querySelector(".planes"));
    }

    index(p) { return (p[2] * this.data.shape[1] + p[1]) * this.data.shape[0] + p[0]; }

    // On each axis, the slice with the most foreground; the middle where there is none.
    start() {
      const shape = this.data.shape, labels = this.truth || this.mask;
      const counts = shape.map((n) => new Float64Array(n));
      if (labels)
        for (let i = 0; i < labels.length; ++i) {
          if (!labels[i]) continue;
          ++counts[0][i % shape[0]];
          ++counts[1][Math.floor(i / shape[0]) % shape[1]];
          ++counts[2][Math.floor(i / (shape[0] * shape[1]))];
        }
      return counts.map((c, d) => {
        const most = c.reduce((best, v, i) => (v > c[best] ? i : best), 0);
        return c[most] > 0 ? most : Math.floor(shape[d] / 2);
      });
    }

    plane(figure) {
      const kind = kinds[figure.dataset.plane];
      const p = { kind, figure, canvas: figure.querySelector("canvas"), slider: figure.querySelector("input"),
                  output: figure.querySelector("output"), width: this.data.shape[kind.column],
                  height: this.data.shape[kind.row], slices: this.data.shape[kind.slice] };
      p.slider.max = p.slices - 1;
      p.slider.disabled = p.slices === 1;
      p.grey = document.createElement("canvas");
      p.heat = document.createElement("canvas");
      for (const c of [p.grey, p.heat]) { c.width = p.width; c.height = p.height; }
      return p;
    }

    // Voxel of the display's volume at a column and a row of a plane.
    voxel(p, column, row) {
      const at = [...this.position];
      at[p.kind.column] = column;
      at[p.kind.row] = p.kind.up ? p.height - 1 - row : row;
      return at;
    }

    setWindow(width, centre) {
      const { low, high } = this.data.image, range = high - low || 1;
      this.controls.window.value = Math.max(1, Math.round(1000 * width / range));
      this.controls.level.value = Math.round(1000 * (centre - low) / range);
    }

    resetWindow() {
      const [from, to] = this.data.window;
      this.setWindow(to - from, (from + to) / 2);
      if (this.controls.preset) this.controls.preset.value = "";
    }

    window() {
      const { low, high } = this.data.image, range = high - low || 1;
      const width = Math.max(1, Number(this.controls.window.value)) / 1000 * range;
      return { width, centre: low + Number(this.controls.level.value) / 1000 * range };
    }

    map() { return this.controls.map ? this.maps[Number(this.controls.map.value)] : undefined; }

    wire() {
      if (this.controls.preset)
        this.controls.preset.addEventListener("input", () => {
          if (this.controls.preset.value) this.setWindow(...this.controls.preset.value.split(",").map(Number));
          else this.resetWindow();
        });
      for (const control of Object.values(this.controls))
        control.addEventListener("input", () => this.draw());
      this.controls.reset.addEventListener("click", () => { this.resetWindow(); this.draw(); });
      for (const p of this.planes) {
        p.slider.addEventListener("input", () => this.move(p.kind.slice, Number(p.slider.value)));
        const pick = (event) => {
          const at = this.under(p, event);
          if (at) { this.position = at; this.draw(); }
        };
        p.canvas.addEventListener("pointerdown", (event) => {
          if (event.button !== 0) return;
          p.canvas.setPointerCapture(event.pointerId);
          pick(event);
        });
        p.canvas.addEventListener("pointermove", (event) => {
          if (event.buttons & 1) pick(event);
          const at = this.under(p, event);
          if (at) this.readout(at);
        });
        p.canvas.addEventListener("pointerleave", () => this.readout(this.position));
        p.canvas.addEventListener("wheel", (event) => {
          if (document.activeElement !== p.canvas) return;  // the page scrolls until the slice is chosen
          event.preventDefault();
          this.step(p, event.deltaY > 0 ? -1 : 1);
        }, { passive: false });
        p.canvas.addEventListener("keydown", (event) => this.key(p, event));
      }
    }

    key(p, event) {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      const steps = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 5, PageDown: -5,
                      Home: -p.slices, End: p.slices };
      const toggles = { p: "mask", t: "truth", c: "cross" };
      if (event.key in steps) {
        this.step(p, steps[event.key]);
      } else if (this.controls[toggles[event.key.toLowerCase()]]) {
        const box = this.controls[toggles[event.key.toLowerCase()]];
        box.checked = !box.checked;
        this.draw();
      } else if (event.key.toLowerCase() === "u" && this.controls.map) {
        const select = this.controls.map;
        select.selectedIndex = (select.selectedIndex + 1) % select.options.length;
        this.draw();
      } else {
        return;
      }
      event.preventDefault();
    }

    step(p, by) { this.move(p.kind.slice, this.position[p.kind.slice] + by); }
    move(axis, to) {
      this.position[axis] = Math.min(Math.max(to, 0), this.data.shape[axis] - 1);
      this.draw();
    }

    // One scale (px a mm) for all planes, so that sizes compare.
    layout() {
      const ratio = window.devicePixelRatio || 1, tallest = this.planes.length > 1 ? 360 : 560;
      let scale = Infinity;
      for (const p of this.planes) {
        p.mm = [p.width * this.data.mm[p.kind.column], p.height * this.data.mm[p.kind.row]];
        const room = p.canvas.clientWidth;
        if (room > 0) scale = Math.min(scale, (room - 44) / p.mm[0], tallest / p.mm[1]);
      }
      if (!Number.isFinite(scale) || scale <= 0) return;
      const height = Math.ceil(Math.max(...this.planes.map((p) => p.mm[1])) * scale) + 44;
      for (const p of this.planes) {
        const width = p.canvas.clientWidth;
        p.canvas.style.height = `${height}px`;
        p.canvas.width = Math.round(width * ratio);
        p.canvas.height = Math.round(height * ratio);
        p.scale = scale * ratio;
        p.ratio = ratio;
        p.size = [p.mm[0] * p.scale, p.mm[1] * p.scale];
        p.origin = [(p.canvas.width - p.size[0]) / 2, (p.canvas.height - p.size[1]) / 2];
      }
      this.draw();
    }

    under(p, event) {
      const box = p.canvas.getBoundingClientRect();
      const u = ((event.clientX - box.left) * p.ratio - p.origin[0]) / p.size[0];
      const v = ((event.clientY - box.top) * p.ratio - p.origin[1]) / p.size[1];
      if (!(u >= 0 && u < 1 && v >= 0 && v < 1)) return null;
      return this.voxel(p, Math.floor(u * p.width), Math.floor(v * p.height));
    }

    draw() {
      for (const p of this.planes) if (p.scale) this.drawPlane(p);
      this.showValues();
      this.readout(this.position);
    }

    drawPlane(p) {
      const { width, centre } = this.window(), { low, high } = this.data.image;
      const step = (high - low) / 65535, bottom = centre - width / 2;
      const map = this.map(), opacity = map ? Number(this.controls.opacity.value) / 100 : 0;
      const grey = new ImageData(p.width, p.height), hot = map ? new ImageData(p.width, p.height) : null;
      for (let row = 0, o = 0; row < p.height; ++row)
        for (let column = 0; column < p.width; ++column, o += 4) {
          const i = this.index(this.voxel(p, column, row));
          const v = 255 * (low + this.image[i] * step - bottom) / width;  // clamped by the array
          grey.data[o] = grey.data[o + 1] = grey.data[o + 2] = v;
          grey.data[o + 3] = 255;
          if (!map) continue;
          const h = 4 * map.values[i];
          hot.data[o] = heat[h];
          hot.data[o + 1] = heat[h + 1];
          hot.data[o + 2] = heat[h + 2];
          hot.data[o + 3] = opacity * heat[h + 3];
        }
      p.grey.getContext("2d").putImageData(grey, 0, 0);
      const ctx = p.canvas.getContext("2d"), [x, y] = p.origin, [w, h] = p.size;
      ctx.fillStyle = "#000";
      ctx.fillRect(0, 0, p.canvas.width, p.canvas.height);
      ctx.imageSmoothingEnabled = this.controls.smooth.checked;
      ctx.imageSmoothingQuality = "high";
      ctx.drawImage(p.grey, x, y, w, h);
      if (map) {
        p.heat.getContext("2d").putImageData(hot, 0, 0);
        ctx.drawImage(p.heat, x, y, w, h);
      }
      const colours = this.data.colours;
      if (this.truth && this.controls.truth.checked) this.contours(ctx, p, this.truth, 3.6, colours.map(pale));
      if (this.mask && this.controls.mask.checked) this.contours(ctx, p, this.mask, 1.5, colours);
      if (this.controls.cross.checked) this.cross(ctx, p);
      this.furniture(ctx, p);
      p.slider.value = this.position[p.kind.slice];
      // Which slice as it is shown, and its index in the file, which may run the other way.
      const axis = this.data.axis[p.kind.slice];
      p.output.textContent =
        `${this.position[p.kind.slice] + 1} / ${p.slices} (${"xyz"[axis]} ${this.inFile(this.position)[axis]})`;
    }

    // The voxel (x, y, z) of the file at a place as it is shown.
    inFile(at) {
      const d = this.data, file = [0, 0, 0];
      for (let k = 0; k < 3; ++k) {
        const shown = at[k] * d.stride[k];
        file[d.axis[k]] = d.flip[k] ? d.extent[k] - 1 - shown : shown;
      }
      return file;
    }

    // Outlines along the edges of voxels: what is drawn is what was scored.
    contours(ctx, p, labels, thickness, colours) {
      const cell = [p.size[0] / p.width, p.size[1] / p.height], [x0, y0] = p.origin;
      const slice = new Uint8Array((p.width + 2) * (p.height + 2)), stride = p.width + 2;
      for (let row = 0; row < p.height; ++row)
        for (let column = 0; column < p.width; ++column)
          slice[(row + 1) * stride + column + 1] = labels[this.index(this.voxel(p, column, row))];
      const paths = colours.map(() => null);
      const line = (label, c1, r1, c2, r2) => {
        if (!label) return;
        const k = (label - 1) % colours.length;
        paths[k] = paths[k] || new Path2D();
        paths[k].moveTo(x0 + c1 * cell[0], y0 + r1 * cell[1]);
        paths[k].lineTo(x0 + c2 * cell[0], y0 + r2 * cell[1]);
      };
      for (let row = 0; row <= p.height; ++row)
        for (let column = 0; column <= p.width; ++column) {
          const here = slice[(row + 1) * stride + column + 1];
          const left = slice[(row + 1) * stride + column], above = slice[row * stride + column + 1];
          if (here !== left) {
            line(left, column, row, column, row + 1);
            line(here, column, row, column, row + 1);
          }
          if (here !== above) {
            line(above, column, row, column + 1, row);
            line(here, column, row, column + 1, row);
          }
        }
      ctx.lineCap = "square";
      ctx.lineWidth = thickness * p.ratio;
      paths.forEach((path, k) => {
        if (!path) return;
        ctx.strokeStyle = colours[k];
        ctx.stroke(path);
      });
    }

    cross(ctx, p) {
      const column = this.position[p.kind.column];
      const row = p.kind.up ? p.height - 1 - this.position[p.kind.row] : this.position[p.kind.row];
      const x = p.origin[0] + (column + 0.5) * p.size[0] / p.width, y = p.origin[1] + (row + 0.5) * p.size[1] / p.height;
      ctx.strokeStyle = "rgba(255,255,255,0.55)";
      ctx.lineWidth = p.ratio;
      ctx.beginPath();
      ctx.moveTo(p.origin[0], y);
      ctx.lineTo(p.origin[0] + p.size[0], y);
      ctx.moveTo(x, p.origin[1]);
      ctx.lineTo(x, p.origin[1] + p.size[1]);
      ctx.stroke();
    }

    // Orientation letters and a scale bar, outside the image.
    furniture(ctx, p) {
      const w = p.canvas.width, h = p.canvas.height, r = p.ratio;
      ctx.fillStyle = "#e9eef2";
      ctx.font = `600 ${13 * r}px system-ui, sans-serif`;
      ctx.textBaseline = "middle";
      if (this.data.oriented) {
        const [left, right, top, bottom] = p.kind.letters;
        ctx.textAlign = "center";
        ctx.fillText(left, Math.max(p.origin[0] - 12 * r, 10 * r), h / 2);
        ctx.fillText(right, Math.min(p.origin[0] + p.size[0] + 12 * r, w - 10 * r), h / 2);
        ctx.fillText(top, w / 2, Math.max(p.origin[1] - 11 * r, 10 * r));
        ctx.fillText(bottom, w / 2, Math.min(p.origin[1] + p.size[1] + 11 * r, h - 10 * r));
      }
      const length = [1, 2, 5, 10, 20, 50, 100, 200].filter((mm) => mm * p.scale < 0.24 * w).pop();
      if (!length) return;
      ctx.strokeStyle = "#e9eef2";
      ctx.lineWidth = 1.5 * r;
      ctx.beginPath();
      ctx.moveTo(10 * r, h - 12 * r);
      ctx.lineTo(10 * r, h - 8 * r);
      ctx.lineTo(10 * r + length * p.scale, h - 8 * r);
      ctx.lineTo(10 * r + length * p.scale, h - 12 * r);
      ctx.stroke();
      ctx.font = `${11 * r}px system-ui, sans-serif`;
      ctx.textAlign = "left";
      ctx.fillText(`${length} mm`, 10 * r, h - 19 * r);
    }

    showValues() {
      const { width, centre } = this.window(), range = this.data.image.high - this.data.image.low;
      const digits = range > 20 ? 0 : range > 2 ? 1 : 3;
      const show = (role, text) => { this.controls[role].parentElement.querySelector("output").textContent = text; };
      show("window", number(width, digits));
      show("level", number(centre, digits));
      if (!this.controls.map) return;
      show("opacity", `${this.controls.opacity.value}\u2009%`);
      const bar = this.section.querySelector(".bar"), map = this.map();
      bar.style.visibility = map ? "visible" : "hidden";
      if (!map) return;
      bar.querySelector(".bar-high").textContent = `${number(map.high, 2)} nats`;
      const canvas = bar.querySelector("canvas"), ctx = canvas.getContext("2d");
      ctx.fillStyle = "#6b7076";  // a grey like the image's under the colours
      ctx.fillRect(0, 0, canvas.width, canvas.height);
      for (let x = 0; x < canvas.width; ++x) {
        const i = 4 * Math.round(255 * x / (canvas.width - 1)), a = heat[i + 3] / 255 * this.controls.opacity.value / 100;
        ctx.fillStyle = `rgba(${heat[i]},${heat[i + 1]},${heat[i + 2]},${a})`;
        ctx.fillRect(x, 0, 1, canvas.height);
      }
    }

    readout(at) {
      const d = this.data, i = this.index(at), file = this.inFile(at);
      const parts = [`voxel x ${file[0]}, y ${file[1]}, z ${file[2]}`];
      if (d.oriented) {
        const mm = d.affine.map((r) => number(r[0] * file[0] + r[1] * file[1] + r[2] * file[2] + r[3], 1));
        parts.push(`R A S (${mm.join(", ")}) mm`);
      }
      const range = d.image.high - d.image.low, value = d.image.low + this.image[i] / 65535 * range;
      parts.push(`image ${number(value, range > 20 ? 0 : range > 2 ? 1 : 3)}${d.unit ? ` ${d.unit}` : ""}`);
      const name = (label) => d.classes[label] || `class ${label}`;
      if (this.truth) parts.push(`truth: ${name(this.truth[i])}`);
      if (this.mask) parts.push(`prediction: ${name(this.mask[i])}`);
      for (const m of this.maps) parts.push(`${m.name.toLowerCase()} ${number(m.high * m.values[i] / 255, 2)} nats`);
      this.section.querySelector(".readout").textContent = parts.join("  \u00b7  ");
    }
  }

  let drawn = 0;
  for (const section of document.querySelectorAll("section.case")) {
    new Viewer(section);
    ++drawn;
  }
  document.documentElement.dataset.viewers = String(drawn);
})();
