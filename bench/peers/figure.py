"""Time per training step against voxels, both axes logarithmic, as SVG."""
import math
import re

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 420, 70, 20, 20, 50


def scaling_figure(rows):
    voxels = [int(re.search(r"(\d+)³", r.name).group(1)) ** 3 for r in rows]
    series = {"voxgrad": ("#1f5fa8", [r.ours for r in rows]), "PyTorch": ("#b5541c", [r.peer for r in rows])}
    values = [v for _, s in series.values() for v in s]
    x0, x1 = math.log10(min(voxels)) - 0.1, math.log10(max(voxels)) + 0.1
    y0, y1 = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))

    def x(v):
        return LEFT + (math.log10(v) - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT)

    def y(v):
        return HEIGHT - BOTTOM - (math.log10(v) - y0) / (y1 - y0) * (HEIGHT - TOP - BOTTOM)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    for e in range(y0, y1 + 1):
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(10**e):.1f}" y2="{y(10**e):.1f}" stroke="#ccc"/>')
        out.append(f'<text x="{LEFT - 8}" y="{y(10**e) + 4:.1f}" text-anchor="end">{10.0**e:g} s</text>')
    for v in voxels:
        out.append(f'<text x="{x(v):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{round(v ** (1 / 3))}³</text>')
    # A line of slope 1 through our largest volume shows linear growth.
    ends = [(v, series["voxgrad"][1][-1] * v / voxels[-1]) for v in (voxels[0], voxels[-1])]
    ends = [(v, max(t, 10.0**y0)) for v, t in ends]
    points = " ".join(f"{x(v):.1f},{y(t):.1f}" for v, t in ends)
    out.append(f'<polyline points="{points}" fill="none" stroke="#888" stroke-dasharray="4 4"/>')
    for i, (name, (colour, s)) in enumerate(series.items()):
        points = " ".join(f"{x(v):.1f},{y(t):.1f}" for v, t in zip(voxels, s))
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{x(v):.1f}" cy="{y(t):.1f}" r="3.5" fill="{colour}"/>' for v, t in zip(voxels, s)]
        out.append(f'<text x="{LEFT + 12}" y="{TOP + 18 + 18 * i}" fill="{colour}">{name}</text>')
    out.append(f'<text x="{LEFT + 12}" y="{TOP + 54}" fill="#888">linear in voxels</text>')
    out.append(f'<text x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 12}" text-anchor="middle">voxels; time of a training step, batch 1</text>')
    return "\n".join(out + ["</svg>", ""])
