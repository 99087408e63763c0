"""Times the same work in voxgrad and in PyTorch, in turn, and prints a Markdown table (see README.md).
Started by ./run."""
import argparse
import datetime
import json
import platform
import subprocess
import sys
import tempfile
from functools import partial

import nibabel
import numpy
import torch

import kernel_rows
import network_rows
import other_rows
from exchange import Context
from figure import scaling_figure

ROWS = {
    "conv": kernel_rows.conv,
    "norm": kernel_rows.norm,
    "unet16": partial(network_rows.unet, base=16),
    "unet32": partial(network_rows.unet, base=32),
    "memory": network_rows.memory,
    "pgrd": network_rows.pgrd,
    "read": other_rows.read,
    "start": other_rows.start,
    "scaling": network_rows.scaling,
}


def machine(context, worker_info, started):
    lscpu = dict(line.split(":", 1) for line in subprocess.run(
        ["lscpu"], check=True, capture_output=True, text=True, env={"LC_ALL": "C"}).stdout.splitlines() if ":" in line)
    flags = lscpu.get("Flags", "").split()
    sets = [f for f in ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile") if f in flags]
    peaks, copies = ([m[k] for m in context.machine] for k in ("fma_peak", "copy_bandwidth"))
    onednn = next((line.strip(" -") for line in torch.__config__.show().splitlines() if "MKL-DNN" in line), "")
    lines = [
        f"- CPU: {lscpu.get('Model name', '').strip()}, {lscpu.get('CPU(s)', '').strip()} logical; {', '.join(sets)}",
        f"- threads: {context.threads} on both sides",
        f"- voxgrad {worker_info['version']} ({worker_info['isa']} kernels); PyTorch {torch.__version__} "
        f"({torch.backends.cpu.get_cpu_capability()}; {onednn}), nibabel {nibabel.__version__}, numpy {numpy.__version__}, "
        f"Python {platform.python_version()}, {platform.system()} {platform.release()}",
        f"- {started:%Y-%m-%d %H:%M} to {datetime.datetime.now():%H:%M}",
        f"- PyTorch takes the best of contiguous and channels_last_3d" + (", eager and torch.compile" if context.compiled else ", eager"),
        f"- {context.rounds} rounds, each side's best repeat of a round; times are the best round, and behind the ratio stand the "
        "lowest and highest ratio of a round",
    ]
    if peaks:
        lines.insert(2, f"- FMA peak, measured before every round: {min(peaks) / 1e9:.0f} to {max(peaks) / 1e9:.0f} GFLOP/s fp32 on "
                        f"all threads (median {numpy.median(peaks) / 1e9:.0f}); copy {numpy.median(copies) / 1e9:.0f} GB/s")
    return lines


def quantity(value, row):
    if row.note == "bytes":
        return f"{value / 2**20:.0f} MiB"
    return f"{1e3 * value:.3g} ms" if value < 1 else f"{value:.3g} s"


def line(row):
    ratio = f"**{row.ratio:.2f}**"
    if len(row.ratios) > 1:
        ratio += f" ({min(row.ratios):.2f}–{max(row.ratios):.2f})"
    agreement = f"{row.deviation:.0e} (≤ {row.tolerance:.0e})" if row.tolerance is not None else "–"
    note = "" if row.note == "bytes" else row.note
    return f"| {row.name} | {quantity(row.ours, row)} | {quantity(row.peer, row)} | {ratio} | {row.variant} | {agreement} | {note} |"


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("rows", nargs="*", help=f"which rows: {', '.join(ROWS)} (default: all)")
    a.add_argument("--build", required=True, help="build folder of voxgrad")
    a.add_argument("--threads", type=int, default=torch.get_num_threads())
    a.add_argument("--rounds", type=int, default=5)
    a.add_argument("--no-compile", action="store_true", help="leave torch.compile out (minutes of compiling)")
    a.add_argument("--json", help="file for the numbers")
    a.add_argument("--figure", help="file for the scaling figure (SVG)")
    a = a.parse_args()
    unknown = set(a.rows) - set(ROWS)
    if unknown:
        a.error(f"unknown rows {', '.join(sorted(unknown))}; known: {', '.join(ROWS)}")
    torch.set_num_threads(a.threads)
    started = datetime.datetime.now()
    with tempfile.TemporaryDirectory(prefix="voxgrad-peers-") as folder:
        context = Context(f"{a.build}/bench/peers_worker", f"{a.build}/bench/peers_worker_zlib", f"{a.build}/voxgrad", a.threads,
                          a.rounds, not a.no_compile, folder)
        with context.worker() as worker:
            info = worker("info")
        rows = {}
        for name in a.rows or ROWS:
            rows[name] = []
            for row in ROWS[name](context):
                print(line(row), file=sys.stderr, flush=True)
                rows[name].append(row)
        lines = machine(context, info, started)
    print("\n".join(lines))
    print("\n| work | voxgrad | PyTorch or nibabel | ratio | the peer's best | largest deviation | |")
    print("|---|---|---|---|---|---|---|")
    for row in (r for group in rows.values() for r in group):
        print(line(row))
    if a.json:
        with open(a.json, "w") as f:
            json.dump({k: [vars(r) for r in v] for k, v in rows.items()} | {"machine": context.machine}, f, indent=1)
    if a.figure and rows.get("scaling"):
        with open(a.figure, "w") as f:
            f.write(scaling_figure(rows["scaling"]))


if __name__ == "__main__":
    main()
