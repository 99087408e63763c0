// Draws the planes of a case on canvases: image, colour, contours, cross-hair, letters. The class that
// extends this one (Viewer in report_viewer.js) holds what is shown: data, levels, blobs, channel, controls,
// position, centre, zoom.
class Picture {
  // All planes have the same scale (pixels per mm), so that sizes can be compared.
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

  // The canvas position of a corner of the volume's voxels. Rows are counted from the top.
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
    this.showShown();
    this.readout(this.position);
  }

  // Draws a slice of a grid. paint(pixels, offset, index) sets one pixel.
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
    ctx.beginPath();  // clips, because the last block of a coarse grid may extend beyond the volume
    const [x0, y0] = this.corner(p, 0, 0), [x1, y1] = this.corner(p, ...p.extent);
    ctx.rect(x0, y0, x1 - x0, y1 - y0);
    ctx.clip();
    for (let level = this.levels.length - 1; level >= 0; --level) {
      const image = this.blobs.get(this.channel.blobs[level]);
      if (!image) continue;
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
    // The number of the slice on the screen, and its index in the file, which may run in the other direction.
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
      if (!values) continue;
      this.paint(ctx, p, map.levels[level], smooth, (pixels, o, i) => {
        const colour = heat[values[i]];
        for (let k = 0; k < 3; ++k) pixels[o + k] = colour[k];
        pixels[o + 3] = values[i] > 0 && values[i] >= from ? alpha : 0;
      });
    }
  }

  // Draws the outlines of classes along the edges of voxels, inside the class. So they show exactly the
  // voxels that were scored.
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
      if (!solid) {  // a dark edge, so that the line is visible on white
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

  // The cross-hair has a gap at its centre, so that the voxel there stays visible.
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

  // Draws the orientation letters and a scale bar, outside the image.
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
}
