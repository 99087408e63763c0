// The viewer: linked planes on plain canvases. A case is unpacked when it is opened. No libraries, nothing is loaded.
(() => {
  const classes = document.getElementById("classes") && JSON.parse(document.getElementById("classes").textContent);
  const number = (v, digits) => v.toFixed(digits).replace("-", "\u2212");
  const clamp = (v, low, high) => Math.min(Math.max(v, low), high);

  // ---- voxels ----
  const inflate = async (element) => {
    const text = atob(element.textContent), packed = new Uint8Array(text.length);
    for (let i = 0; i < text.length; ++i) packed[i] = text.charCodeAt(i);
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };
  // A word is the difference to the word before; all low bytes stand before all high bytes.
  const words = (raw) => {
    const n = raw.length / 2, out = new Uint16Array(n);
    for (let i = 0, last = 0; i < n; ++i) out[i] = last = (last + (raw[i] | (raw[n + i] << 8))) & 0xffff;
    return out;
  };

  // A box in blocks of voxels.
  class Grid {
    constructor(data) { Object.assign(this, data); }
    // The block at a place of the volume along one axis; may lie outside.
    block(axis, at) { return Math.floor((at - this.begin[axis]) / this.stride[axis]); }
    has(axis, block) { return block >= 0 && block < this.shape[axis]; }
    index(at) {
      const b = at.map((v, axis) => this.block(axis, v));
      if (!b.every((v, axis) => this.has(axis, v))) return -1;
      return (b[2] * this.shape[1] + b[1]) * this.shape[0] + b[0];
    }
    // Calls f(pixel, index) for a slice as it lies on the screen; false where the box has no such slice.
    slice(kind, at, f) {
      const block = this.block(kind.slice, at);
      if (!this.has(kind.slice, block)) return false;
      const [nx, ny] = this.shape, step = [1, nx, nx * ny], w = this.shape[kind.column], h = this.shape[kind.row];
      for (let row = 0, pixel = 0; row < h; ++row) {
        let i = block * step[kind.slice] + (kind.up ? h - 1 - row : row) * step[kind.row];
        for (let column = 0; column < w; ++column, ++pixel, i += step[kind.column]) f(pixel, i);
      }
      return true;
    }
  }

  // Display axes: x to the patient's left, y to posterior, z to superior. Rows of coronal and sagittal slices run
  // from superior to inferior.
  const kinds = {
    axial: { name: "Axial", stored: "xy plane", column: 0, row: 1, slice: 2, up: false, letters: ["R", "L", "A", "P"] },
    coronal: { name: "Coronal", stored: "xz plane", column: 0, row: 2, slice: 1, up: true, letters: ["R", "L", "S", "I"] },
    sagittal: { name: "Sagittal", stored: "yz plane", column: 1, row: 2, slice: 0, up: true, letters: ["A", "P", "S", "I"] },
  };
  const ctWindows = { "brain 80/40": [80, 40], "soft tissue 400/40": [400, 40], "lung 1500/\u2212600": [1500, -600],
                      "bone 1800/400": [1800, 400] };

  // ---- colours: no class has a hue between violet and pink, so that what is uncertain is told from classes ----
  const heat = Array.from({ length: 256 }, (_, i) => [150 + 105 * i / 255, 90 * i / 255 * i / 255, 150 + 95 * i / 255]);
  const errors = [null, [120, 40, 230], [255, 120, 225], [225, 0, 170]];  // missed, too much, another class
  const errorNames = ["", "missed", "too much", "another class"];

  // ---- outlines ----
  const steps = [[1, 0], [0, 1], [-1, 0], [0, -1]], inward = [[0, 1], [-1, 0], [0, -1], [1, 0]];
  // Closed loops around each label along the edges of voxels, clockwise: a list of [label, loops], each loop a list of
  // corners [column, row, direction before, direction behind]. `slice` has an empty border of one voxel.
  const outlines = (slice, w, h) => {
    const stride = w + 2, edges = new Map();
    const edge = (label, column, row, direction) => {
      if (!edges.has(label)) edges.set(label, new Map());
      const of = edges.get(label), key = row * (w + 1) + column;
      of.set(key, (of.get(key) || 0) | (1 << direction));
    };
    for (let row = 0; row < h; ++row)
      for (let column = 0; column < w; ++column) {
        const i = (row + 1) * stride + column + 1, label = slice[i];
        if (!label) continue;
        if (slice[i - stride] !== label) edge(label, column, row, 0);
        if (slice[i + 1] !== label) edge(label, column + 1, row, 1);
        if (slice[i + stride] !== label) edge(label, column + 1, row + 1, 2);
        if (slice[i - 1] !== label) edge(label, column, row + 1, 3);
      }
    return [...edges].map(([label, of]) => {
      const loops = [];
      for (const [start] of of)
        while (of.get(start)) {
          const loop = [];
          let column = start % (w + 1), row = (start - column) / (w + 1);
          const first = [0, 1, 2, 3].find((d) => of.get(start) & (1 << d));
          for (let d = first; d !== undefined;) {
            const from = row * (w + 1) + column;
            of.set(from, of.get(from) & ~(1 << d));
            column += steps[d][0];
            row += steps[d][1];
            const out = of.get(row * (w + 1) + column) || 0;
            const next = [(d + 1) % 4, d, (d + 3) % 4].find((n) => out & (1 << n));  // turn to the right first
            const behind = next === undefined ? first : next;
            if (behind !== d) loop.push([column, row, d, behind]);
            d = next;
          }
          loops.push(loop);
        }
      return [label, loops];
    });
  };

  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  class Viewer {
    constructor(section) {
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
    // Unpacks what the controls ask for.
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
    choice(role) { return this.controls[role] ? Number(this.controls[role].value) : -1; }
    map() { return this.maps[this.choice("map")]; }
    values(role) {
      const layer = this[role][this.choice(role)];
      return layer && this.blobs.get(layer.blob);
    }

    // On each axis, the slice with the most foreground; the middle where there is none.
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
        image.push(select("preset", "CT window", [["as found", ""], ...Object.keys(ctWindows).map((k) => [k, k])], ""));
      controls.append(group(...image, field("width", "Window"), field("level", "Level"), check("inverse", "Inverse grey", this.channel.invert),
                            button("reset", "Reset", "The first window again")));

      if (this.maps.length) {
        const bar = make("span", { className: "bar" });
        controls.append(group(select("map", "Colour", [["off", "-1"], ...named(this.maps)], "-1"), range("threshold", "from", 20),
                              range("opacity", "opacity", 60), bar));
      }
      controls.append(group(
        select("drag", "Dragging", [["moves the cross-hair", "cross"], ["sets window and level", "window"], ["moves the picture", "pan"], ["zooms", "zoom"]], "cross"),
        button("out", "\u2212", "Smaller"), button("in", "+", "Larger"), button("fit", "Fit", "Show everything")));

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

    // A box to tick for each class that is there.
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
      const legend = make("div", { className: "legend" }, list);
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
      for (const role of ["solid", "dashed", "map"]) on(role, "input", async () => { await this.load(); this.draw(); });
      for (const role of ["white", "cross", "smooth", "threshold", "opacity"]) on(role, "input", () => this.draw());
      on("channel", "input", async () => {
        this.channel = this.data.channels[Number(c.channel.value)];
        c.inverse.checked = this.channel.invert;
        if (c.preset) c.preset.value = "";
        await this.load();
        this.showWindow();
        this.draw();
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
        if (document.activeElement !== p.canvas) return;  // the page scrolls until the slice is chosen
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
    // About the cross-hair; at 1 everything is shown.
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

    // One scale (px a mm) for all planes, so that sizes compare.
    layout() {
      const ratio = window.devicePixelRatio || 1, tallest = this.planes.length > 1 ? 380 : 560;
      let scale = Infinity;
      for (const p of this.planes) {
        p.size = p.extent.map((n, i) => n * p.mm[i]);
        const room = p.canvas.clientWidth;
        if (room > 0) scale = Math.min(scale, (room - 44) / p.size[0], tallest / p.size[1]);
      }
      if (!Number.isFinite(scale) || scale <= 0) return;
      const height = Math.ceil(Math.max(...this.planes.map((p) => p.size[1])) * scale) + 44;
      for (const p of this.planes) {
        p.canvas.style.height = `${height}px`;
        p.canvas.width = Math.round(p.canvas.clientWidth * ratio);
        p.canvas.height = Math.round(height * ratio);
        p.fit = scale * ratio;
        p.ratio = ratio;
      }
      this.draw();
    }

    // The place of the canvas where a corner of the volume's voxels lies, counted in rows from above.
    corner(p, column, row) {
      const { kind } = p, middle = kind.up ? p.extent[1] - this.centre[kind.row] : this.centre[kind.row];
      return [p.canvas.width / 2 + (column - this.centre[kind.column]) * p.mm[0] * p.scale,
              p.canvas.height / 2 + (row - middle) * p.mm[1] * p.scale];
    }
    under(p, event) {
      const box = p.canvas.getBoundingClientRect(), [x0, y0] = this.corner(p, 0, 0);
      const column = Math.floor(((event.clientX - box.left) * p.ratio - x0) / (p.mm[0] * p.scale));
      const row = Math.floor(((event.clientY - box.top) * p.ratio - y0) / (p.mm[1] * p.scale));
      if (column < 0 || row < 0 || column >= p.extent[0] || row >= p.extent[1]) return null;
      const at = [...this.position];
      at[p.kind.column] = column;
      at[p.kind.row] = p.kind.up ? p.extent[1] - 1 - row : row;
      return at;
    }

    // ---- drawing ----
    draw() {
      for (const p of this.planes) {
        if (!p.fit) continue;
        p.scale = p.fit * this.zoom;
        this.drawPlane(p);
      }
      this.showBar();
      this.readout(this.position);
    }

    // Draws the slice of a grid; paint(pixels, offset, index) sets a pixel.
    paint(ctx, p, grid, smooth, paint) {
      const { kind } = p, w = grid.shape[kind.column], h = grid.shape[kind.row], picture = new ImageData(w, h);
      if (!grid.slice(kind, this.position[kind.slice], (pixel, index) => paint(picture.data, 4 * pixel, index))) return;
      const canvas = make("canvas", { width: w, height: h });
      canvas.getContext("2d").putImageData(picture, 0, 0);
      const rows = h * grid.stride[kind.row], top = kind.up ? p.extent[1] - grid.begin[kind.row] - rows : grid.begin[kind.row];
      const [x0, y0] = this.corner(p, grid.begin[kind.column], top);
      const [x1, y1] = this.corner(p, grid.begin[kind.column] + w * grid.stride[kind.column], top + rows);
      ctx.imageSmoothingEnabled = smooth;
      ctx.imageSmoothingQuality = "high";
      ctx.drawImage(canvas, x0, y0, x1 - x0, y1 - y0);
    }

    drawPlane(p) {
      const ctx = p.canvas.getContext("2d"), { width, centre } = this.channel.now, { low, step, invert } = this.channel;
      const smooth = this.controls.smooth.checked, bottom = centre - width / 2;
      ctx.fillStyle = "#000";
      ctx.fillRect(0, 0, p.canvas.width, p.canvas.height);
      ctx.save();
      ctx.beginPath();  // the last block of a coarse grid may reach beyond the volume
      const [x0, y0] = this.corner(p, 0, 0), [x1, y1] = this.corner(p, ...p.extent);
      ctx.rect(x0, y0, x1 - x0, y1 - y0);
      ctx.clip();
      for (let level = this.levels.length - 1; level >= 0; --level) {
        const image = this.blobs.get(this.channel.blobs[level]);
        this.paint(ctx, p, this.levels[level], smooth, (pixels, o, i) => {
          const v = 255 * (low + image[i] * step - bottom) / width, grey = invert ? 255 - v : v;  // clamped by the array
          pixels[o] = pixels[o + 1] = pixels[o + 2] = grey;
          pixels[o + 3] = 255;
        });
      }
      this.drawMap(ctx, p, smooth);
      for (const role of ["solid", "dashed"]) if (this.values(role)) this.contours(ctx, p, role);
      if (this.controls.cross.checked) this.cross(ctx, p);
      ctx.restore();
      this.furniture(ctx, p);
      p.slider.value = this.position[p.kind.slice];
      // Which slice as it is shown, and its index in the file, which may run the other way.
      const axis = this.data.axis[p.kind.slice];
      p.output.textContent = `${this.position[p.kind.slice] + 1} / ${p.slices} (${"xyz"[axis]} ${this.inFile(this.position)[axis]})`;
    }

    drawMap(ctx, p, smooth) {
      const map = this.map();
      if (!map) return;
      const alpha = 255 * Number(this.controls.opacity.value) / 100, from = 255 * Number(this.controls.threshold.value) / 100;
      if (map.error) {
        const found = this.values("solid"), truth = this.values("dashed");
        if (!found || !truth) return;
        this.paint(ctx, p, this.labelGrid, false, (pixels, o, i) => {
          if (found[i] === truth[i]) return;
          const colour = errors[!found[i] ? 1 : !truth[i] ? 2 : 3];
          for (let k = 0; k < 3; ++k) pixels[o + k] = colour[k];
          pixels[o + 3] = alpha;
        });
        return;
      }
      for (let level = map.levels.length - 1; level >= 0; --level) {
        const values = this.blobs.get(map.blobs[level]);
        this.paint(ctx, p, map.levels[level], smooth, (pixels, o, i) => {
          const colour = heat[values[i]];
          for (let k = 0; k < 3; ++k) pixels[o + k] = colour[k];
          pixels[o + 3] = values[i] > 0 && values[i] >= from ? alpha : 0;
        });
      }
    }

    // Outlines along the edges of voxels, drawn inside their class: what is drawn is what was scored.
    contours(ctx, p, role) {
      const g = this.labelGrid, { kind } = p, labels = this.values(role), solid = role === "solid";
      const w = g.shape[kind.column], h = g.shape[kind.row], slice = new Uint16Array((w + 2) * (h + 2));
      const found = g.slice(kind, this.position[kind.slice], (pixel, i) => {
        if (!this.hidden.has(labels[i])) slice[(Math.floor(pixel / w) + 1) * (w + 2) + pixel % w + 1] = labels[i];
      });
      if (!found) return;
      const rows = h * g.stride[kind.row], top = kind.up ? p.extent[1] - g.begin[kind.row] - rows : g.begin[kind.row];
      const inset = 0.8 * p.ratio, white = !solid && this.controls.white.checked;
      for (const [label, loops] of outlines(slice, w, h)) {
        const path = new Path2D();
        for (const loop of loops) {
          loop.forEach(([column, row, before, behind], n) => {
            const [x, y] = this.corner(p, g.begin[kind.column] + column * g.stride[kind.column], top + row * g.stride[kind.row]);
            const dx = inset * (inward[before][0] + inward[behind][0]), dy = inset * (inward[before][1] + inward[behind][1]);
            if (n) path.lineTo(x + dx, y + dy);
            else path.moveTo(x + dx, y + dy);
          });
          path.closePath();
        }
        ctx.setLineDash(solid ? [] : [5 * p.ratio, 4 * p.ratio]);
        if (!solid) {  // a dark edge, to be seen on white
          ctx.lineWidth = 3.6 * p.ratio;
          ctx.strokeStyle = "rgba(0,0,0,0.75)";
          ctx.stroke(path);
        }
        ctx.lineWidth = (solid ? 1.6 : 2) * p.ratio;
        ctx.strokeStyle = white ? "#fff" : classes.colours[label];
        ctx.stroke(path);
      }
      ctx.setLineDash([]);
    }

    // With a gap at the centre, which must be seen.
    cross(ctx, p) {
      const { kind } = p, at = this.position, row = kind.up ? p.extent[1] - 1 - at[kind.row] : at[kind.row];
      const [x, y] = this.corner(p, at[kind.column] + 0.5, row + 0.5), gap = 9 * p.ratio, far = p.canvas.width + p.canvas.height;
      for (const [colour, width] of [["rgba(0,0,0,0.5)", 2.4], ["rgba(255,255,255,0.75)", 1]]) {
        ctx.strokeStyle = colour;
        ctx.lineWidth = width * p.ratio;
        ctx.beginPath();
        for (const [dx, dy] of steps) {
          ctx.moveTo(x + dx * gap, y + dy * gap);
          ctx.lineTo(x + dx * far, y + dy * far);
        }
        ctx.stroke();
      }
    }

    // Orientation letters and a scale bar, outside the image.
    furniture(ctx, p) {
      const w = p.canvas.width, h = p.canvas.height, r = p.ratio, [x0, y0] = this.corner(p, 0, 0), [x1, y1] = this.corner(p, ...p.extent);
      const text = (s, x, y) => {
        ctx.lineWidth = 3 * r;
        ctx.strokeStyle = "#000";
        ctx.strokeText(s, x, y);
        ctx.fillText(s, x, y);
      };
      ctx.fillStyle = "#e9eef2";
      ctx.font = `600 ${13 * r}px system-ui, sans-serif`;
      ctx.textBaseline = "middle";
      if (this.data.oriented) {
        const [left, right, top, bottom] = p.kind.letters;
        ctx.textAlign = "center";
        text(left, Math.max(x0 - 12 * r, 10 * r), h / 2);
        text(right, Math.min(x1 + 12 * r, w - 10 * r), h / 2);
        text(top, w / 2, Math.max(y0 - 11 * r, 10 * r));
        text(bottom, w / 2, Math.min(y1 + 11 * r, h - 10 * r));
      }
      if (!this.data.measured) return;
      const length = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200].filter((mm) => mm * p.scale < 0.24 * w).pop();
      if (!length) return;
      for (const [colour, width] of [["#000", 4], ["#e9eef2", 1.5]]) {
        ctx.strokeStyle = colour;
        ctx.lineWidth = width * r;
        ctx.beginPath();
        ctx.moveTo(10 * r, h - 12 * r);
        ctx.lineTo(10 * r, h - 8 * r);
        ctx.lineTo(10 * r + length * p.scale, h - 8 * r);
        ctx.lineTo(10 * r + length * p.scale, h - 12 * r);
        ctx.stroke();
      }
      ctx.font = `${11 * r}px system-ui, sans-serif`;
      ctx.textAlign = "left";
      text(`${length} mm`, 10 * r, h - 19 * r);
    }

    // ---- texts ----
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

    // The voxel (x, y, z) of the file at a place as it is shown.
    inFile(at) {
      const d = this.data, file = [0, 0, 0];
      for (let k = 0; k < 3; ++k) file[d.axis[k]] = d.flip[k] ? d.extent[k] - 1 - at[k] : at[k];
      return file;
    }
    // A value at a place, from the finest grid that has it, and whether that is a mean of voxels.
    at(blobs, levels, place) {
      for (let level = 0; level < blobs.length; ++level) {
        const i = levels[level].index(place);
        if (i >= 0) return { value: this.blobs.get(blobs[level])[i], mean: levels[level].stride.some((s) => s > 1) };
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
      parts.push(`${c.name} ${image.mean ? "about " : ""}${number(c.low + image.value * c.step, this.digits())}${c.unit ? ` ${c.unit}` : ""}`);
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
})();
