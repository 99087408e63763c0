// The viewer of a case: controls, mouse, keys and texts. The data of a case are unpacked when it is opened.
class Viewer extends Picture {
  constructor(section) {
    super();
    this.section = section;
    this.box = section.querySelector(".viewer");
    this.data = JSON.parse(section.querySelector('script[type="application/json"]').textContent);
    this.levels = this.data.levels.map((g) => new Grid(g));
    this.labelGrid = new Grid(this.data.box);
    this.blobs = new Map();
    this.channel = this.data.channels[0];
    for (const c of this.data.channels) {
      c.now = { width: c.window[1] - c.window[0] || 1, centre: (c.window[0] + c.window[1]) / 2 };
      c.invert = c.inverse;
    }
    this.hidden = new Set();
    this.zoom = 1;
    this.solid = this.layers("solid");
    this.dashed = this.layers("dashed");
    this.maps = this.allMaps();
  }

  async open() {
    this.controls = {};
    this.build();
    this.position = this.data.extent.map((n) => Math.floor(n / 2));
    await this.load();
    this.position = this.start();
    this.centre = this.data.extent.map((n) => n / 2);
    this.showWindow();
    this.wire();
    this.layout();
    new ResizeObserver(() => this.layout()).observe(this.box.querySelector(".planes"));
  }

  // ---- what can be shown ----
  layers(role) { return this.data.labels.filter((l) => l.role === role); }
  allMaps() {
    const list = this.data.maps.map((m) => ({ ...m, levels: this.levels }));
    if (this.solid.length && this.dashed.length) list.push({ name: "error", error: true, blobs: [] });
    for (const p of this.data.probabilities)
      list.push({ name: `probability of ${classes.names[p.class]}`, blobs: p.blobs, high: 1, unit: "", levels: this.levels.slice(0, 1) });
    return list;
  }
  // Unpacks the blobs that the controls have selected.
  async load() {
    const wanted = [...this.channel.blobs.map((b) => [b, 16])];
    for (const layer of [this.solid[this.choice("solid")], this.dashed[this.choice("dashed")]])
      if (layer) wanted.push([layer.blob, layer.bits]);
    for (const map of [...this.data.maps, this.map()].filter(Boolean)) wanted.push(...map.blobs.map((b) => [b, 8]));
    await Promise.all(wanted.filter(([name]) => !this.blobs.has(name)).map(async ([name, bits]) => {
      const raw = await inflate(this.section.querySelector(`[data-blob="${name}"]`));
      this.blobs.set(name, bits === 16 ? words(raw) : raw);
    }));
  }
  // Called when a selection changes. Unpacks the new blobs, then draws. Until then the picture shows the
  // blobs that are unpacked already.
  async show() {
    this.waiting = (this.waiting || 0) + 1;
    this.box.setAttribute("aria-busy", "true");
    await this.load();
    if (--this.waiting === 0) this.box.setAttribute("aria-busy", "false");
    this.showWindow();
    this.draw();
  }
  choice(role) { return this.controls[role] ? Number(this.controls[role].value) : -1; }
  map() { return this.maps[this.choice("map")]; }
  values(role) {
    const layer = this[role][this.choice(role)];
    return layer && this.blobs.get(layer.blob);
  }

  // The first position: on each axis the slice with the most foreground, or the middle without foreground.
  start() {
    const g = this.labelGrid, counts = g.shape.map((n) => new Float64Array(n));
    const labels = this.values("dashed") || this.values("solid");
    if (labels)
      for (let i = 0; i < labels.length; ++i) {
        if (!labels[i]) continue;
        ++counts[0][i % g.shape[0]];
        ++counts[1][Math.floor(i / g.shape[0]) % g.shape[1]];
        ++counts[2][Math.floor(i / (g.shape[0] * g.shape[1]))];
      }
    return counts.map((c, axis) => {
      const most = c.reduce((best, v, i) => (v > c[best] ? i : best), 0);
      return c[most] > 0 ? g.begin[axis] + most * g.stride[axis] : this.position[axis];
    });
  }

  // ---- controls ----
  build() {
    const keep = (role, element) => {
      this.controls[role] = element;
      element.dataset.role = role;
      return element;
    };
    const select = (role, label, options, value) => {
      const box = keep(role, make("select"));
      options.forEach(([text, v]) => box.append(make("option", { textContent: text, value: v })));
      box.value = value;
      return make("label", {}, label, box);
    };
    const check = (role, label, checked) => make("label", {}, keep(role, make("input", { type: "checkbox", checked })), label);
    const button = (role, label, title) => keep(role, make("button", { type: "button", textContent: label, title }));
    const field = (role, label) => make("label", {}, label, keep(role, make("input", { type: "number", step: "any" })));
    const range = (role, label, value) =>
      make("label", {}, label, keep(role, make("input", { type: "range", min: 0, max: 100, value })), make("output"));
    const group = (...children) => make("div", { className: "group" }, ...children);
    const named = (list) => list.map((l, i) => [l.name, String(i)]);
    const controls = make("div", { className: "controls" });

    const lines = [];
    if (this.solid.length) lines.push(select("solid", make("span", { className: "line solid" }), [...named(this.solid), ["off", "-1"]], "0"));
    if (this.dashed.length) {
      lines.push(select("dashed", make("span", { className: "line dashed" }), [...named(this.dashed), ["off", "-1"]], "0"));
      lines.push(check("white", "in white", this.data.classes.length <= 6));
    }
    controls.append(group(...lines, check("cross", "Cross-hair", true), check("smooth", "Interpolate", true)));

    const image = [];
    if (this.data.channels.length > 1) image.push(select("channel", "Channel", named(this.data.channels), "0"));
    if (this.data.channels.some((c) => c.unit === "HU"))
      image.push(select("preset", "CT window", [["default", ""], ...Object.keys(ctWindows).map((k) => [k, k])], ""));
    controls.append(group(...image, field("width", "Window"), field("level", "Level"), check("inverse", "Inverse grey", this.channel.invert),
                          button("reset", "Reset", "Back to the first window and level")));

    if (this.maps.length) {
      const bar = make("span", { className: "bar" });
      controls.append(group(select("map", "Colour", [["off", "-1"], ...named(this.maps)], "-1"), range("threshold", "from", 20),
                            range("opacity", "opacity", 50), bar));
    }
    controls.append(group(
      select("drag", "Dragging", [["moves the cross-hair", "cross"], ["sets window and level", "window"], ["moves the picture", "pan"], ["zooms", "zoom"]], "cross"),
      button("out", "\u2212", "Zoom out"), button("in", "+", "Zoom in"), button("fit", "Fit", "Show everything")));

    const planes = make("div", { className: "planes" });
    this.planes = this.box.dataset.planes.split(" ").map((id) => this.plane(id, planes));
    const readout = make("p", { className: "readout" });
    this.box.append(controls, planes, readout, this.legend());
  }

  plane(id, planes) {
    const kind = kinds[id], name = this.data.oriented ? kind.name : kind.stored, slices = this.data.extent[kind.slice];
    const canvas = make("canvas", { tabIndex: 0 }), slider = make("input", { type: "range", min: 0, max: slices - 1, step: 1, disabled: slices === 1 });
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${name} slice; arrow keys change the slice`);
    slider.setAttribute("aria-label", `${name} slice`);
    const output = make("output"), figure = make("figure", { className: "plane" }, canvas, make("figcaption", {}, make("span", { textContent: name }), slider, output));
    figure.dataset.plane = id;
    planes.append(figure);
    return { kind, canvas, slider, output, slices, extent: [this.data.extent[kind.column], this.data.extent[kind.row]],
             mm: [this.data.mm[kind.column], this.data.mm[kind.row]] };
  }

  // One check box for each class of the case.
  legend() {
    const list = make("ul");
    this.boxes = this.data.classes.map((label) => {
      const box = make("input", { type: "checkbox", checked: true });
      box.dataset.label = label;
      const swatch = make("span", { className: "swatch" });
      swatch.style.background = classes.colours[label];
      list.append(make("li", {}, make("label", {}, box, swatch, classes.names[label])));
      return box;
    });
    const all = (checked) => () => { for (const b of this.boxes) b.checked = checked; this.legendChanged(); };
    const legend = make("div", { className: "legend" }, make("p", { className: "shown" }), list);
    if (this.boxes.length > 2) {
      const buttons = [["All", true], ["None", false]].map(([text, on]) => make("button", { type: "button", textContent: text, onclick: all(on) }));
      legend.prepend(make("div", { className: "group" }, ...buttons));
    }
    list.addEventListener("input", () => this.legendChanged());
    return legend;
  }
  legendChanged() {
    this.hidden = new Set(this.boxes.filter((b) => !b.checked).map((b) => Number(b.dataset.label)));
    this.draw();
  }

  wire() {
    const c = this.controls, on = (role, event, f) => { if (c[role]) c[role].addEventListener(event, f); };
    for (const role of ["solid", "dashed", "map"]) on(role, "input", () => this.show());
    for (const role of ["white", "cross", "smooth", "threshold", "opacity"]) on(role, "input", () => this.draw());
    on("channel", "input", () => {
      this.channel = this.data.channels[Number(c.channel.value)];
      c.inverse.checked = this.channel.invert;
      if (c.preset) c.preset.value = "";
      this.show();
    });
    on("inverse", "input", () => { this.channel.invert = c.inverse.checked; this.draw(); });
    on("preset", "input", () => this.setWindow(...(ctWindows[c.preset.value] || this.firstWindow())));
    on("reset", "click", () => { if (c.preset) c.preset.value = ""; this.setWindow(...this.firstWindow()); });
    for (const role of ["width", "level"])
      on(role, "change", () => {
        const width = Number(c.width.value), level = Number(c.level.value);
        if (Number.isFinite(width) && Number.isFinite(level) && c.width.value && c.level.value) this.setWindow(width, level);
        else this.showWindow();
      });
    on("in", "click", () => this.setZoom(this.zoom * 1.4));
    on("out", "click", () => this.setZoom(this.zoom / 1.4));
    on("fit", "click", () => this.setZoom(1));
    for (const p of this.planes) this.wirePlane(p);
  }

  wirePlane(p) {
    p.slider.addEventListener("input", () => this.move(p.kind.slice, Number(p.slider.value)));
    p.canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    p.canvas.addEventListener("pointerdown", (event) => {
      p.canvas.setPointerCapture(event.pointerId);
      p.canvas.focus({ preventScroll: true });
      p.drag = event.button === 2 ? "window" : event.button === 1 || event.shiftKey ? "pan" : this.controls.drag.value;
      p.last = [event.clientX, event.clientY];
      if (p.drag === "cross") this.pick(p, event);
      event.preventDefault();
    });
    p.canvas.addEventListener("pointermove", (event) => {
      if (event.buttons && p.drag) this.dragged(p, event);
      const at = this.under(p, event);
      if (at) this.readout(at);
    });
    for (const end of ["pointerup", "pointercancel"]) p.canvas.addEventListener(end, () => { p.drag = null; });
    p.canvas.addEventListener("pointerleave", () => this.readout(this.position));
    p.canvas.addEventListener("wheel", (event) => {
      if (document.activeElement !== p.canvas) return;  // without focus, the wheel scrolls the page
      event.preventDefault();
      if (event.ctrlKey) this.setZoom(this.zoom * (event.deltaY > 0 ? 1 / 1.15 : 1.15));
      else this.move(p.kind.slice, this.position[p.kind.slice] + (event.deltaY > 0 ? -1 : 1));
    }, { passive: false });
    p.canvas.addEventListener("keydown", (event) => this.key(p, event));
  }

  pick(p, event) {
    const at = this.under(p, event);
    if (!at) return;
    this.position = at;
    this.draw();
  }

  dragged(p, event) {
    const dx = event.clientX - p.last[0], dy = event.clientY - p.last[1];
    p.last = [event.clientX, event.clientY];
    const now = this.channel.now, first = this.firstWindow()[0];
    if (p.drag === "cross") this.pick(p, event);
    else if (p.drag === "window") this.setWindow(now.width + dx * first / 200, now.centre + dy * first / 200);
    else if (p.drag === "zoom") this.setZoom(this.zoom * Math.exp(-dy / 120));
    else if (p.drag === "pan") {
      const px = p.scale / p.ratio;
      this.centre[p.kind.column] -= dx / (px * p.mm[0]);
      this.centre[p.kind.row] += (p.kind.up ? 1 : -1) * dy / (px * p.mm[1]);
      this.keepInside();
      this.draw();
    }
  }

  key(p, event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const by = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 5, PageDown: -5, Home: -p.slices, End: p.slices };
    const c = this.controls, key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const change = (element) => element.dispatchEvent(new Event("input"));
    const flip = (role) => {
      c[role].selectedIndex = (c[role].selectedIndex + 1) % c[role].options.length;
      change(c[role]);
    };
    const toggle = (role) => {
      c[role].value = c[role].value === "-1" ? this[`last_${role}`] || "0" : (this[`last_${role}`] = c[role].value, "-1");
      change(c[role]);
    };
    const tick = (role) => { c[role].checked = !c[role].checked; change(c[role]); };
    const actions = { p: ["solid", toggle], t: ["dashed", toggle], s: ["solid", flip], r: ["dashed", flip], u: ["map", flip], c: ["cross", tick],
                      i: ["inverse", tick], h: ["channel", flip] };
    const zooms = { "+": this.zoom * 1.4, "=": this.zoom * 1.4, "-": this.zoom / 1.4, 0: 1 };
    if (key in by) this.move(p.kind.slice, this.position[p.kind.slice] + by[key]);
    else if (key in zooms) this.setZoom(zooms[key]);
    else if (key in actions && c[actions[key][0]]) actions[key][1](actions[key][0]);
    else return;
    event.preventDefault();
  }

  move(axis, to) {
    this.position[axis] = clamp(to, 0, this.data.extent[axis] - 1);
    this.draw();
  }

  // ---- window, zoom, layout ----
  firstWindow() {
    const [from, to] = this.channel.window;
    return [to - from || 1, (from + to) / 2];
  }
  setWindow(width, centre) {
    this.channel.now = { width: Math.max(width, this.channel.step), centre };
    this.showWindow();
    this.draw();
  }
  digits() {
    const first = this.firstWindow()[0];
    return first > 20 ? 0 : first > 2 ? 1 : 3;
  }
  showWindow() {
    this.controls.width.value = this.channel.now.width.toFixed(this.digits());
    this.controls.level.value = this.channel.now.centre.toFixed(this.digits());
  }
  // Zooms about the cross-hair. Zoom 1 shows everything.
  setZoom(zoom) {
    const before = this.zoom;
    this.zoom = clamp(zoom, 1, 40);
    const share = before / this.zoom;
    this.centre = this.centre.map((v, axis) => this.position[axis] + 0.5 + (v - this.position[axis] - 0.5) * share);
    this.keepInside();
    this.draw();
  }
  keepInside() {
    this.centre = this.centre.map((v, axis) => {
      const n = this.data.extent[axis], half = n / (2 * this.zoom);
      return clamp(v, half, n - half);
    });
  }

  // ---- texts ----
  // A line for printed pages, which have no controls.
  showShown() {
    const c = this.channel, map = this.map(), parts = [`${c.name}, window ${this.controls.width.value}, level ${this.controls.level.value}${c.unit ? ` ${c.unit}` : ""}`];
    for (const [role, line] of [["solid", "solid line"], ["dashed", "dashed line"]])
      if (this[role][this.choice(role)]) parts.push(`${line}: ${this[role][this.choice(role)].name}`);
    if (map) parts.push(`colour: ${map.name}${map.error ? "" : ` from ${number(map.high * this.controls.threshold.value / 100, 2)} ${map.unit}`}`);
    this.box.querySelector(".shown").textContent = parts.join("  \u00b7  ");
  }
  showBar() {
    const map = this.map(), c = this.controls;
    if (!c.map) return;
    c.threshold.parentElement.querySelector("output").textContent =
      map && !map.error ? `${number(map.high * c.threshold.value / 100, 2)} ${map.unit}` : `${c.threshold.value}\u2009%`;
    c.opacity.parentElement.querySelector("output").textContent = `${c.opacity.value}\u2009%`;
    c.threshold.disabled = !map || Boolean(map.error);
    const bar = this.box.querySelector(".bar");
    bar.replaceChildren();
    if (!map) return;
    const swatch = (rgb) => {
      const span = make("span", { className: "swatch" });
      span.style.background = `rgb(${rgb.join(",")})`;
      return span;
    };
    if (map.error) {
      bar.append(...[1, 2, 3].flatMap((k) => [swatch(errors[k]), errorNames[k]]));
      return;
    }
    const ramp = make("span", { className: "ramp" });
    ramp.style.background = `linear-gradient(90deg, ${[0, 64, 128, 192, 255].map((i) => `rgb(${heat[i].join(",")})`).join(",")})`;
    bar.append("0", ramp, `${number(map.high, 2)} ${map.unit}`);
  }

  // Converts a displayed position to the voxel (x, y, z) of the file.
  inFile(at) {
    const d = this.data, file = [0, 0, 0];
    for (let k = 0; k < 3; ++k) file[d.axis[k]] = d.flip[k] ? d.extent[k] - 1 - at[k] : at[k];
    return file;
  }
  // The value at a position, from the finest grid that contains it, and whether it is a mean of several
  // voxels.
  at(blobs, levels, place) {
    for (let level = 0; level < blobs.length; ++level) {
      const i = levels[level].index(place), values = this.blobs.get(blobs[level]);
      if (i >= 0 && values) return { value: values[i], mean: levels[level].stride.some((s) => s > 1) };
    }
    return null;
  }
  readout(place) {
    const d = this.data, c = this.channel, file = this.inFile(place), parts = [`voxel x ${file[0]}, y ${file[1]}, z ${file[2]}`];
    if (d.oriented) {
      const mm = d.affine.map((r) => number(r[0] * file[0] + r[1] * file[1] + r[2] * file[2] + r[3], 1));
      parts.push(`R A S (${mm.join(", ")}) mm`);
    }
    const image = this.at(c.blobs, this.levels, place);
    if (image) parts.push(`${c.name} ${image.mean ? "about " : ""}${number(c.low + image.value * c.step, this.digits())}${c.unit ? ` ${c.unit}` : ""}`);
    const i = this.labelGrid.index(place);
    for (const role of ["dashed", "solid"]) {
      const values = this.values(role), layer = this[role][this.choice(role)];
      if (values) parts.push(`${layer.name}: ${classes.names[i >= 0 ? values[i] : 0]}`);
    }
    for (const m of new Set([...d.maps, this.map()].filter((m) => m && !m.error))) {
      if (m !== this.map() && this.map() && m.name === this.map().name) continue;
      const v = this.at(m.blobs, this.levels, place);
      if (v) parts.push(`${m.name} ${number(m.high * v.value / 255, 2)}${m.unit ? ` ${m.unit}` : ""}`);
    }
    this.box.querySelector(".readout").textContent = parts.join("  \u00b7  ");
  }
}

const root = document.documentElement;
root.dataset.viewers = "0";
const open = async (section) => {
  if (!section.open || section.dataset.state) return;
  section.dataset.state = "unpacking";
  try {
    await new Viewer(section).open();
    section.dataset.state = "drawn";
    root.dataset.viewers = String(Number(root.dataset.viewers) + 1);
  } catch (error) {
    section.dataset.state = "failed";
    section.querySelector(".viewer").textContent = `This case cannot be shown: ${error.message}`;
    throw error;
  }
};
for (const section of document.querySelectorAll("details.case")) {
  section.addEventListener("toggle", () => open(section));
  open(section);
}
