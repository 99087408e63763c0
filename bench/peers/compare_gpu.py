"""Times the same networks, data and weights on a CUDA device, in voxgrad and in PyTorch, in turn, and prints a Markdown
table (README.md). Started by ./gpu."""
import argparse
import datetime
import gc
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
from network_rows import Sampler
from networks import FORMATS, UNet, take_weights, to_torch

# Size, batch, precision, parts. The network has six levels: 32, 64, 128, 256, 320, 320 features.
STEPS = {
    "step128": (128, 2, "bf16", ("step", "forward")),
    "batch4": (128, 4, "bf16", ("step",)),
    "step64": (64, 2, "bf16", ("step", "forward")),
    "tf32": (64, 2, "tf32", ("step",)),
    "fp32": (64, 2, "fp32", ("step",)),
}
# Size, samples, steps, precision.
SAMPLING = {"pgrd": (64, 16, 10, "bf16")}
# The rows with a target come first, so that a call that is cut off has shown them.
ROWS = ("step128", "batch4", "step64", "pgrd", "tf32", "fp32")
# The largest difference of outputs that is allowed, over their largest value. Sums of f32 run in another order. In TF32
# inputs are rounded to 11 bits, in bf16 to 8 bits, at each of some 25 layers.
TOLERANCE = {"fp32": 1e-3, "tf32": 1e-2, "bf16": 8e-2}


class Peer:
    """Work in PyTorch as a careful user writes it: autocast, cudnn.benchmark. `parts` are methods without arguments."""

    def __init__(self, a, precision, layout, mode):
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        self.device, self.format, self.mode = torch.device(a.device), FORMATS[layout], mode
        self.cast = torch.autocast(self.device.type, torch.bfloat16, enabled=precision == "bf16")

    def place(self, net):
        return net.to(self.device, memory_format=self.format)

    def compiled(self, net):
        """Compiled for one shape and the whole network. Anything else is an error: nothing runs eagerly unseen."""
        return torch.compile(net, mode=self.mode, dynamic=False, fullgraph=True) if self.mode else net

    def fetch(self, result):
        """The part of a run that is not in its graph."""
        return result

    def runner(self, part, graph):
        """A function that runs a part and does not wait. A graph is recorded after runs on a stream of its own."""
        run = getattr(self, part)
        if not graph:
            return lambda: self.fetch(run())
        current, side = torch.cuda.current_stream(), torch.cuda.Stream()
        side.wait_stream(current)
        with torch.cuda.stream(side):
            for _ in range(3):
                run()
        current.wait_stream(side)
        recorded = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(recorded):
                result = run()
        finally:
            torch.cuda.set_stream(current)  # a recording that fails may leave its own

        def replay():
            recorded.replay()
            return self.fetch(result)
        return replay

    def wait(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def seconds(self, run, runs):
        start = time.perf_counter()
        for _ in range(runs):
            run()
        self.wait()
        return (time.perf_counter() - start) / runs


class Trainer(Peer):
    """Training steps, with fused Adam."""

    def __init__(self, a, weights, x, label, precision, layout, mode):
        super().__init__(a, precision, layout, mode)
        self.net = self.place(take_weights(UNet(1, 3, a.base, a.levels), weights, "net"))
        self.x, self.label = x.to(self.device).to(memory_format=self.format), label.to(self.device)
        self.run = self.compiled(self.net)
        self.optimizer = torch.optim.Adam(self.net.parameters(), 1e-3, fused=True, capturable=self.device.type == "cuda")

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


class Drawer(Peer):
    """Samples of PGRD, one after the other and as one batch. They are copied back to the host."""

    def __init__(self, a, weights, reply, x, starts, precision, layout, mode):
        super().__init__(a, precision, layout, mode)
        prior = take_weights(UNet(1, 3, a.base, a.levels), weights, "prior")
        denoiser = take_weights(UNet(7, 3, a.base, a.levels, reply["time_features"]), weights, "denoiser")
        self.sampler = Sampler(self.place(prior), self.place(denoiser), x.to(self.device),
                               [s.to(self.device) for s in starts], reply["steps"], self.format, False)
        self.sampler.prior, self.sampler.denoiser = self.compiled(self.sampler.prior), self.compiled(self.sampler.denoiser)

    def loop(self):
        with self.cast:
            return torch.cat(self.sampler(len(self.sampler.starts)))

    def batch(self):
        with self.cast:
            return self.sampler.batched(len(self.sampler.starts))

    def fetch(self, result):
        return result.float().cpu()


def deviation(a, b):
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return float(np.abs(a - b).max() / np.abs(b).max())


def runs_for(once, at_least=0.5):
    return int(np.clip(at_least / max(once, 1e-6), 1, 100))


def say(text):
    print(text, file=sys.stderr, flush=True)


def free():
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def allocated():
    return torch.cuda.memory_allocated() if torch.cuda.is_available() else 0


def peak_of(peer, part, before):
    """Bytes of tensors at the peak of a part, without those that were there before the peer was made."""
    if peer.device.type != "cuda":
        return float("nan")
    peer.wait()
    torch.cuda.reset_peak_memory_stats()
    getattr(peer, part)()
    peer.wait()
    return torch.cuda.max_memory_allocated() - before


def reason(error):
    """The first of a chain of errors, in one line."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def trial(peer, part, graph):
    """The function that runs a part, its seconds, and how long it took to make it."""
    begin = time.perf_counter()
    run = peer.runner(part, graph)
    for _ in range(2):
        run()
    peer.wait()
    ready = time.perf_counter() - begin
    return run, peer.seconds(run, runs_for(peer.seconds(run, 1))), ready


def fastest(a, title, make, parts, graphs):
    """The peer's best for each part, found by a few runs of each kind: its layouts, eager and compiled, and
    the parts in `graphs` also as a graph. A kind that fails loses only its own trial. Returns {part: (peer, runner,
    name, peak)} and what to tell of each."""
    best, told = {}, []
    if a.compile:
        torch._dynamo.reset()  # peers with compiled code are gone
        torch._dynamo.config.recompile_limit = 64
    for mode in [None] + (a.modes if a.compile else []):
        for layout in a.layouts:
            peer, run, peaks = None, None, {}
            free()
            # What is there now stays until the memory of this one is measured, even a best one that is beaten.
            others, before = tuple(best.values()), allocated()
            for graph, part in [(False, p) for p in parts] + [(True, p) for p in graphs if a.device == "cuda"]:
                if graph and part not in peaks:
                    continue  # it does not even run
                name = layout + (", compiled" if mode else ", eager") + (f" {mode}" if mode not in (None, "default") else "")
                name += ", one graph" if graph else ""
                try:
                    peer = peer or make(layout, mode)
                    run, spent, ready = trial(peer, part, graph)
                    if not graph:
                        peaks[part] = peak_of(peer, part, before)
                    if part not in best or spent < best[part][0]:
                        best[part] = spent, peer, run, name, peaks[part]
                    text = f"{1e3 * spent:.3g} ms, ready after {ready:.0f} s"
                except Exception as e:
                    text = "failed, " + reason(e)
                told.append(f"{part}, {name}: {text}")
                say(f"  {title}: {told[-1]}")
            del others, peer
    free()
    return {part: b[1:] for part, b in best.items()}, told


def in_turn(a, worker, part, peer, run, own_part):
    for _ in range(3):
        worker("time", part=own_part)
    run()
    peer.wait()
    runs = runs_for(worker("time", part=own_part)["seconds"]), runs_for(peer.seconds(run, 1))
    own, theirs = [], []
    for _ in range(a.rounds):
        own.append(worker("time", part=own_part, runs=runs[0])["seconds"])
        theirs.append(peer.seconds(run, runs[1]))
    return {"part": part, "ours": statistics.median(own), "peer": statistics.median(theirs),
            "ratios": [b / o for o, b in zip(own, theirs)]}


def agreement(r, differences, precision):
    """Writes the largest differences to the row. One that is too large makes the row wrong; its times say so."""
    r["deviation"], r["tolerance"] = max(differences.values()), TOLERANCE[precision]
    r["wrong"] = ", ".join(f"{k} by {v:.1e}" for k, v in differences.items() if not v <= TOLERANCE[precision])


def found(best, part, told):
    if part not in best:
        raise RuntimeError(f"nothing of the peer's ran: {'; '.join(told)}")
    return best[part]


def step_rows(a, worker, key, folder):
    size, batch, precision, parts = STEPS[key]
    size, batch = a.size or size, a.batch or batch
    title = f"{size}³, batch {batch}, {precision}"
    rng = np.random.default_rng(3)
    x = rng.standard_normal((batch, size, size, size, 1), np.float32)
    label = rng.integers(0, 3, (batch, size, size, size)).astype(np.int32)
    file, weights, out = (f"{folder}/{n}.safetensors" for n in ("data", "weights", "out"))
    save(file, x=x, label=label)
    task = {"task": "unet", "base": a.base, "levels": a.levels, "file": file, "weights": weights,
            "device": a.worker_device, "precision": precision}
    worker("prepare", **task)
    worker("results", file=out)
    ours, w = load(out), load(weights)
    worker("prepare", graph=a.worker_device != "cpu", **task)
    tx, ty = to_torch(x), torch.from_numpy(label).long()

    # The same: logits, and the losses of the first steps.
    first = Trainer(a, w, tx, ty, precision, "contiguous", None)
    differences = {"logits": deviation(ours["logits"], first.forward().float().permute(0, 2, 3, 4, 1).cpu().numpy()),
                   "losses": deviation(ours["losses"], [float(first.step()) for _ in range(3)])}
    del first

    best, told = fastest(a, title, lambda layout, mode: Trainer(a, w, tx, ty, precision, layout, mode), parts, parts)
    for part in parts:
        peer, run, name, peak = found(best, part, told)
        r = in_turn(a, worker, part, peer, run, part)
        r.update(name=f"{part} at {title}", rate=batch / r["ours"], variant=name,
                 trials=[t for t in told if t.startswith(part + ",")],
                 memory=(worker("memory", part="plain step")["bytes"], peak) if part == "step" else None)
        agreement(r, differences, precision)
        yield r


def sampling_rows(a, worker, key, folder):
    size, samples, steps, precision = SAMPLING[key]
    size = a.size or size
    title = f"PGRD sampling, M = {samples}, S = {steps}"
    x = np.random.default_rng(4).standard_normal((size, size, size, 1), np.float32)
    file, weights, out = (f"{folder}/{n}.safetensors" for n in ("data", "weights", "out"))
    save(file, x=x)
    reply = worker("prepare", task="pgrd", base=a.base, levels=a.levels, samples=samples, steps=steps, file=file,
                   weights=weights, device=a.worker_device, precision=precision)
    worker("results", file=out)
    ours, w = load(out), load(weights)
    starts = [to_torch(ours[f"start.{m}"]) for m in range(samples)]
    own = np.stack([ours[f"sample.{m}"] for m in range(samples)])

    def make(layout, mode):
        return Drawer(a, w, reply, to_torch(x), starts, precision, layout, mode)
    parts = {"loop": "against a plain loop", "batch": "against one batch of samples"}
    best, told = fastest(a, title, make, tuple(parts), ("batch",))
    for part, against in parts.items():
        peer, run, name, _ = found(best, part, told)
        drawn = run().permute(0, 2, 3, 4, 1).numpy()
        r = in_turn(a, worker, part, peer, run, "sample")
        r.update(name=f"{title}, {size}³, {precision}, {against}", rate=samples / r["ours"], variant=name,
                 trials=[t for t in told if t.startswith(part + ",")], memory=None)
        agreement(r, {"samples": deviation(own, drawn)}, precision)
        yield r


HEAD = ("| work | voxgrad | PyTorch | ratio | samples/s | memory, voxgrad / PyTorch | the peer's best | outputs deviate |\n"
        "|---|---|---|---|---|---|---|---|")


def line(r):
    memory = "–"
    if r["memory"] and not math.isnan(r["memory"][1]):
        memory = f"{r['memory'][0] / 2**30:.2f} / {r['memory'][1] / 2**30:.2f} GiB"
    failed = sum(": failed, " in t for t in r["trials"])
    variant = r["variant"] + (f"; {failed} of {len(r['trials'])} kinds failed" if failed else "")
    return (f"| {r['name']} | {1e3 * r['ours']:.3g} ms | {1e3 * r['peer']:.3g} ms | **{statistics.median(r['ratios']):.2f}** "
            f"({min(r['ratios']):.2f}–{max(r['ratios']):.2f}) | {r['rate']:.3g} | {memory} | {variant} | "
            f"{'**WRONG**, ' + r['wrong'] if r['wrong'] else format(r['deviation'], '.0e')} (≤ {r['tolerance']:.0e}) |")


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("rows", nargs="*", help=f"which rows: {', '.join(ROWS)} (default: all)")
    p.add_argument("--worker", required=True)
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--no-compile", dest="compile", action="store_false", help="leave torch.compile out")
    p.add_argument("--modes", default="default", help="torch.compile's, with commas: default,max-autotune-no-cudagraphs")
    p.add_argument("--layouts", default=",".join(FORMATS), help="those that the peer tries (default: %(default)s)")
    p.add_argument("--device", default="cuda", choices=["cuda", "cpu"], help="the peer's device")
    p.add_argument("--worker-device", default=None, help="voxgrad's device (default: the same)")
    p.add_argument("--base", type=int, default=32)
    p.add_argument("--levels", type=int, default=6)
    p.add_argument("--size", type=int, help="another extent, to try the script")
    p.add_argument("--batch", type=int)
    p.add_argument("--json", help="file for the numbers, written after each row")
    a = p.parse_args()
    a.worker_device = a.worker_device or a.device
    a.modes, a.layouts = a.modes.split(","), a.layouts.split(",")
    if not set(a.layouts) <= set(FORMATS):
        p.error(f"unknown layouts; known: {', '.join(FORMATS)}")
    unknown = set(a.rows) - set(ROWS)
    if unknown:
        p.error(f"unknown rows {', '.join(sorted(unknown))}; known: {', '.join(ROWS)}")
    if a.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("PyTorch sees no CUDA device here")
    device = torch.cuda.get_device_name() if a.device == "cuda" else "CPU"
    say(f"{device}, PyTorch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}")
    print(HEAD, flush=True)
    as_named = not (a.size or a.batch) and (a.base, a.levels) == (32, 6)
    started, rows, errors, notes, ours, version = datetime.datetime.now(), [], [], [], "CPU", ""
    for key in a.rows or ROWS:
        begin = time.monotonic()
        # A worker of its own: an earlier row leaves nothing in memory, and one that fails does not end the others.
        with tempfile.TemporaryDirectory(prefix="voxgrad-peers-") as folder, Worker(a.worker, os.cpu_count()) as worker:
            try:
                version = worker("info")["version"]
                for r in (step_rows if key in STEPS else sampling_rows)(a, worker, key, folder):
                    print(line(r), flush=True)
                    notes.append(f"{r['name']}: {'; '.join(r['trials'])}")
                    rows.append({"row": key, "as_named": as_named, **r})
                    if r["wrong"]:
                        errors.append(key)
                    if a.json:
                        with open(a.json, "w") as f:
                            json.dump(rows, f, indent=1)
                if a.worker_device != "cpu":
                    told = worker("describe")
                    ours, plans = told["text"], told["plans"].splitlines()
                    general = [t for t in plans if ": general kernel" in t]
                    notes.append(f"{key}: {len(plans)} convolution plans, {len(general)} of them the general kernel")
                    for text in general:
                        say("  " + text)
            except Exception as e:
                errors.append(key)
                print(f"| {key} | FAILED: {' '.join(str(e).split())[:600]} |", flush=True)
        free()
        say(f"{key}: {time.monotonic() - begin:.0f} s")
    print(f"\n- {device}; voxgrad {version}; PyTorch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}")
    print("\n".join(f"  - {text}" for text in ours.strip().splitlines()))
    print(f"- {started:%Y-%m-%d %H:%M} to {datetime.datetime.now():%H:%M}; {a.rounds} rounds in turn; medians, and behind the "
          "ratio the lowest and highest of a round")
    print(f"- PyTorch takes the fastest of its kinds{'' if a.worker_device == 'cpu' else '; voxgrad replays graphs'}; the plain "
          "loop over samples is no graph, memory is that of single steps without one")
    print("\n".join(f"- {text}" for text in notes))
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
