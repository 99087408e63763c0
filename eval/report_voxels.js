"use strict";
// Unpacks the voxels of the viewer, cuts slices, and finds outlines. The files report_voxels.js,
// report_picture.js and report_viewer.js become one script (eval/report_assets.cc.in). The script uses no
// libraries and loads nothing.
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
// Decodes 16-bit words. Each stored word is the difference from the previous word. The low bytes of all words
// come first, then the high bytes.
const words = (raw) => {
  const n = raw.length / 2, out = new Uint16Array(n);
  for (let i = 0, last = 0; i < n; ++i) out[i] = last = (last + (raw[i] | (raw[n + i] << 8))) & 0xffff;
  return out;
};

// A box of the volume, divided into blocks of voxels.
class Grid {
  constructor(data) { Object.assign(this, data); }
  // The index of the block that contains a position on one axis. It may be outside the box.
  block(axis, at) { return Math.floor((at - this.begin[axis]) / this.stride[axis]); }
  has(axis, block) { return block >= 0 && block < this.shape[axis]; }
  index(at) {
    const b = at.map((v, axis) => this.block(axis, v));
    if (!b.every((v, axis) => this.has(axis, v))) return -1;
    return (b[2] * this.shape[1] + b[1]) * this.shape[0] + b[0];
  }
  // Calls f(pixel, index) for each pixel of a slice, in the order of the screen. Returns false if the box
  // does not contain the slice.
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

// Display axes: x to the patient's left, y to posterior, z to superior. Rows of coronal and sagittal slices
// run from superior to inferior.
const kinds = {
  axial: { name: "Axial", stored: "xy plane", column: 0, row: 1, slice: 2, up: false, letters: ["R", "L", "A", "P"] },
  coronal: { name: "Coronal", stored: "xz plane", column: 0, row: 2, slice: 1, up: true, letters: ["R", "L", "S", "I"] },
  sagittal: { name: "Sagittal", stored: "yz plane", column: 1, row: 2, slice: 0, up: true, letters: ["A", "P", "S", "I"] },
};
const ctWindows = { "brain 80/40": [80, 40], "soft tissue 400/40": [400, 40], "lung 1500/\u2212600": [1500, -600],
                    "bone 1800/400": [1800, 400] };

// ---- colours: maps use the hues from violet to pink; classes do not, so that both can be told apart ----
const heat = Array.from({ length: 256 }, (_, i) => [150 + 105 * i / 255, 90 * i / 255 * i / 255, 150 + 95 * i / 255]);
const errors = [null, [120, 40, 230], [255, 120, 225], [225, 0, 170]];  // in the order of errorNames
const errorNames = ["", "missed", "false positive", "wrong class"];

// ---- outlines ----
const steps = [[1, 0], [0, 1], [-1, 0], [0, -1]], inward = [[0, 1], [-1, 0], [0, -1], [1, 0]];
// The closed loops around each label along the edges of voxels, clockwise. Returns a list of [label, loops].
// A loop is a list of corners [column, row, direction before the corner, direction after it]. `slice` has an
// empty border of one voxel.
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
