"""The same network, data and weights on a CUDA device, here and in PyTorch, in turn, as a Markdown table (README.md).
Started by ./gpu."""
import argparse
import datetime
import json
import math
import os
import statistics
import sys
import tempfile
import time

import numpy as np
import torch
import torch.nn.functional as F

from exchange import Worker, load, save
from networks import FORMATS, UNet, take_weights

# Name, size, batch, precision, parts. The network has six levels: 32, 64, 128, 256, 320, 320 features.
ROWS = {
    "step128": ("step at 128³", 128, 2, "bf16", ("step", "forward")),
    "batch4": ("step at 128³, batch 4", 128, 4, "bf16", ("step",)),
    "step64": ("step at 64³", 64, 2, "bf16", ("step", "forward")),
    "tf32": ("step at 64³ in TF32", 64, 2, "tf32", ("step",)),
    "fp32": ("step at 64³ in fp32", 64, 2, "fp32", ("step",)),
}
# Largest difference of logits over their largest value: sums of f32 in another order; inputs rounded to 11 bits (TF32) or
# 8 bits (bf16) at each of some 25 layers.
TOLERANCE = {"fp32": 1e-3, "tf32": 1e-2, "bf16": 8e-2}


class Peer:
    """Training steps in PyTorch as a careful user writes them: autocast, fused Adam, cudnn.benchmark."""

    def __init__(self, a, weights, x, label, precision, memory_format, compiled):
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        self.device = a.device
        self.net = take_weights(UNet(1, 3, a.base, a.levels), weights, "net").to(a.device, memory_format=memory_format)
        self.x, self.label = x.to(a.device).to(memory_format=memory_format), label.to(a.device)
        self.run = torch.compile(self.net) if compiled else self.net
        self.cast = torch.autocast(torch.device(a.device).type, torch.bfloat16, enabled=precision == "bf16")
        self.optimizer = torch.optim.Adam(self.net.parameters(), 1e-3, fused=True)

    def forward(self):
        with torch.no_grad(), self.cast:
            return self.run(self.x)

    def step(self):
        self.optimizer.zero_grad(set_to_none=True)
        with self.cast:
            loss = F.cross_entropy(self.run(self.x).float(), self.label)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def wait(self):
        if torch.device(self.device).type == "cuda":
            torch.cuda.synchronize()

    def seconds(self, part, runs):
        start = time.perf_counter()
        for _ in range(runs):
            getattr(self, part)()
        self.wait()
        return (time.perf_counter() - start) / runs

    def peak(self):
        """Bytes of tensors at the peak of a step."""
        if torch.device(self.device).type != "cuda":
            return float("nan")
        self.wait()
        torch.cuda.reset_peak_memory_stats()
        self.step()
        self.wait()
        return torch.cuda.max_memory_allocated()


def deviation(a, b):
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return float(np.abs(a - b).max() / np.abs(b).max())


def runs_for(once, at_least=0.5):
    return int(np.clip(at_least / max(once, 1e-6), 1, 100))


def row(a, worker, name, folder):
    title, size, batch, precision, parts = ROWS[name]
    size, batch = a.size or size, a.batch or batch
    rng = np.random.default_rng(3)
    x = rng.standard_normal((batch, size, size, size, 1), np.float32)
    label = rng.integers(0, 3, (batch, size, size, size)).astype(np.int32)
    file, weights, out = (f"{folder}/{n}.safetensors" for n in ("data", "weights", "out"))
    save(file, x=x, label=label)
    task = {"task": "unet", "base": a.base, "levels": a.levels, "file": file, "weights": weights,
            "device": a.worker_device, "precision": precision}
    worker("prepare", **task)
    worker("results", file=out)
    ours = load(out)
    worker("prepare", graph=a.worker_device != "cpu", **task)
    w = load(weights)
    tx = torch.from_numpy(x).permute(0, 4, 1, 2, 3).contiguous()
    ty = torch.from_numpy(label).long()

    # The same: logits, and the losses of the first steps.
    first = Peer(a, w, tx, ty, precision, torch.contiguous_format, False)
    difference = deviation(ours["logits"], first.forward().float().permute(0, 2, 3, 4, 1).cpu().numpy())
    losses = deviation(ours["losses"], [float(first.step()) for _ in range(3)])
    if not max(difference, losses) <= TOLERANCE[precision]:
        raise SystemExit(f"{title}: logits deviate by {difference:.2e}, losses by {losses:.2e}, "
                         f"expected at most {TOLERANCE[precision]:.0e}")
    del first

    # The peer's best of its layouts, eager and compiled, found by a few steps of each.
    kinds = [(m, c) for c in ([False, True] if a.compile else [False]) for m in FORMATS]
    trial = {}
    for layout, compiled in kinds:
        peer = Peer(a, w, tx, ty, precision, FORMATS[layout], compiled)
        for part in parts:
            for _ in range(3):
                getattr(peer, part)()
            peer.wait()
            trial[part, layout, compiled] = peer.seconds(part, runs_for(peer.seconds(part, 1)))
        del peer
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    for part in parts:
        layout, compiled = min(kinds, key=lambda k: trial[part, k[0], k[1]])
        peer = Peer(a, w, tx, ty, precision, FORMATS[layout], compiled)
        for _ in range(3):
            getattr(peer, part)()
            worker("time", part=part)
        runs = runs_for(worker("time", part=part)["seconds"]), runs_for(peer.seconds(part, 1))
        own, theirs = [], []
        for _ in range(a.rounds):
            own.append(worker("time", part=part, runs=runs[0])["seconds"])
            theirs.append(peer.seconds(part, runs[1]))
        ratios = [b / o for o, b in zip(own, theirs)]
        memory = (worker("memory", part="plain step")["bytes"], peer.peak()) if part == "step" else None
        yield {"name": f"{part} at {size}³, batch {batch}, {precision}", "ours": statistics.median(own),
               "peer": statistics.median(theirs), "ratios": ratios, "samples": batch / statistics.median(own),
               "variant": layout + (", compiled" if compiled else ", eager"), "deviation": difference,
               "tolerance": TOLERANCE[precision], "memory": memory}
        del peer


def line(r):
    memory = "–"
    if r["memory"] and not math.isnan(r["memory"][1]):
        memory = f"{r['memory'][0] / 2**30:.2f} / {r['memory'][1] / 2**30:.2f} GiB"
    return (f"| {r['name']} | {1e3 * r['ours']:.3g} ms | {1e3 * r['peer']:.3g} ms | **{statistics.median(r['ratios']):.2f}** "
            f"({min(r['ratios']):.2f}–{max(r['ratios']):.2f}) | {r['samples']:.3g} | {memory} | {r['variant']} | "
            f"{r['deviation']:.0e} (≤ {r['tolerance']:.0e}) |")


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("rows", nargs="*", help=f"which rows: {', '.join(ROWS)} (default: all)")
    p.add_argument("--worker", required=True)
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--no-compile", dest="compile", action="store_false", help="leave torch.compile out")
    p.add_argument("--device", default="cuda", help="the peer's device")
    p.add_argument("--worker-device", default=None, help="voxgrad's device (default: the same)")
    p.add_argument("--base", type=int, default=32)
    p.add_argument("--levels", type=int, default=6)
    p.add_argument("--size", type=int, help="another extent, to try the script")
    p.add_argument("--batch", type=int)
    p.add_argument("--json", help="file for the numbers")
    a = p.parse_args()
    a.worker_device = a.worker_device or a.device
    unknown = set(a.rows) - set(ROWS)
    if unknown:
        p.error(f"unknown rows {', '.join(sorted(unknown))}; known: {', '.join(ROWS)}")
    if a.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("PyTorch sees no CUDA device here")
    started, rows = datetime.datetime.now(), []
    with tempfile.TemporaryDirectory(prefix="voxgrad-peers-") as folder, Worker(a.worker, os.cpu_count()) as worker:
        for name in a.rows or ROWS:
            for r in row(a, worker, name, folder):
                print(line(r), file=sys.stderr, flush=True)
                rows.append(r)
        ours = worker("describe")["text"] if a.worker_device != "cpu" else "CPU"
        version = worker("info")["version"]
    device = torch.cuda.get_device_name() if a.device == "cuda" else "CPU"
    print(f"- {device}; voxgrad {version}; PyTorch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}")
    print("\n".join(f"  - {text}" for text in ours.strip().splitlines()))
    print(f"- {started:%Y-%m-%d %H:%M} to {datetime.datetime.now():%H:%M}; {a.rounds} rounds in turn; medians, and behind the "
          "ratio the lowest and highest of a round")
    print(f"- PyTorch takes the best of its layouts, eager{' and compiled' if a.compile else ''}"
          f"{'' if a.worker_device == 'cpu' else '; the step of voxgrad is one graph'}\n")
    print("| work | voxgrad | PyTorch | ratio | samples/s | memory, voxgrad / PyTorch | the peer's best | logits deviate |")
    print("|---|---|---|---|---|---|---|---|")
    for r in rows:
        print(line(r))
    if a.json:
        with open(a.json, "w") as f:
            json.dump(rows, f, indent=1)


if __name__ == "__main__":
    main()
