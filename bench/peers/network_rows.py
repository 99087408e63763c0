"""Rows of the table for whole networks: U-Net, its memory, sampling with PGRD, and time against voxels."""
import os
import subprocess
import sys

import numpy as np
import torch
import torch.nn.functional as F

from exchange import Row, Worker, in_turn, load, require_agreement, save, seconds
from kernel_rows import of_peak
from networks import FORMATS, Trainer, UNet, take_weights, to_numpy, to_torch

LEVELS = 4


def unet_flops(base, size, batch):
    """Multiplications and additions of a forward pass of the convolutions, padding counted as work."""
    f, total = [min(base * 2**i, 320) for i in range(LEVELS)], 0
    for i in range(LEVELS):
        voxels, inputs = batch * (size >> i) ** 3, 1 if i == 0 else f[i - 1]
        total += 54 * voxels * (inputs * f[i] + f[i] ** 2)
        if i + 1 < LEVELS:
            total += 2 * voxels * f[i + 1] * f[i] + 54 * voxels * 3 * f[i] ** 2
    return total + 2 * batch * size**3 * f[0] * 3


def prepare_unet(context, worker, base, size, batch, recompute=True):
    """The worker's network and the inputs: (reply, x, label, weights)."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((batch, size, size, size, 1), np.float32)
    label = rng.integers(0, 3, (batch, size, size, size)).astype(np.int32)
    save(context.file("unet.safetensors"), x=x, label=label)
    reply = worker("prepare", task="unet", base=base, levels=LEVELS, recompute=recompute,
                   file=context.file("unet.safetensors"), weights=context.file("weights.safetensors"))
    return reply, to_torch(x), torch.from_numpy(label).long(), load(context.file("weights.safetensors"))


def trainers(context, base, x, label, weights):
    for compiled in ([False, True] if context.compiled else [False]):
        for name, memory_format in FORMATS.items():
            net = take_weights(UNet(1, 3, base, LEVELS), weights, "net")
            yield name + (", compiled" if compiled else ""), Trainer(net, x, label, memory_format, compiled)


def check_unet(row, ours, base, x, label, weights):
    """Logits, every gradient and the losses of three steps, from the same weights."""
    net = take_weights(UNet(1, 3, base, LEVELS), weights, "net")
    trainer = Trainer(net, x, label, torch.contiguous_format, False)
    logits = to_numpy(trainer.forward())
    F.cross_entropy(net(x), label).backward()
    gradients = {k: v.grad for k, v in net.named_parameters()}
    # Names and axes of gradients change as those of weights do, so load them into a second network and compare there.
    mirror = take_weights(UNet(1, 3, base, LEVELS), {k[5:]: v for k, v in ours.items() if k.startswith("grad.")}, "net")
    pairs = [(ours["logits"], logits)]
    largest = max(float(g.abs().max()) for g in gradients.values())
    for name, p in mirror.named_parameters():
        # Relative to the largest gradient of all: some are sums that cancel to nearly nothing.
        pairs.append((np.append(p.detach().numpy().ravel(), largest),
                      np.append(gradients[name].numpy().ravel(), largest)))
    losses = [trainer.step() for _ in range(3)]
    pairs.append((ours["losses"], np.array(losses, np.float32)))
    require_agreement(row, pairs, 1e-3)


def unet(context, base):
    """Four levels, InstanceNorm, LeakyReLU, one input channel, three classes, cross-entropy, Adam; batch 2, 64^3."""
    size, batch = 64, 2
    with context.worker() as worker:
        _, x, label, weights = prepare_unet(context, worker, base, size, batch)
        worker("results", file=context.file("out.safetensors"))
        ours, flops = load(context.file("out.safetensors")), unet_flops(base, size, batch)
        peers = dict(trainers(context, base, x, label, weights))
        for part, passes in (("forward", 1), ("step", 3)):
            row = in_turn(context, f"U-Net base {base}, {batch} × {size}³, {part}",
                          lambda: worker("time", part=part)["seconds"],
                          {k: lambda t=t: seconds(getattr(t, part)) for k, t in peers.items()}, worker)
            row.note = of_peak(context, passes * flops / row.ours)
            check_unet(row, ours, base, x, label, weights)
            yield row
        # What recomputing costs, against the same peer: its step was the last row.
        prepare_unet(context, worker, base, size, batch, recompute=False)
        keeping = in_turn(context, f"U-Net base {base}, {batch} × {size}³, step, train.recompute off",
                         lambda: worker("time", part="step")["seconds"],
                         {row.variant: lambda: seconds(peers[row.variant].step)}, worker)
        keeping.note = of_peak(context, 3 * flops / keeping.ours)
        yield keeping


def memory(context):
    """Growth of the peak resident memory of a fresh process from before the first training step to after the second."""
    size, batch = 64, 2
    for base in (16, 32):
        peers = {}
        for name in FORMATS:
            child = [sys.executable, os.path.join(os.path.dirname(__file__), "networks.py"), str(base), str(size), str(batch),
                     str(context.threads), name]
            peers[name] = int(subprocess.run(child, check=True, capture_output=True, text=True).stdout)
        best = min(peers, key=peers.get)
        for recompute in (True, False):
            with context.worker() as worker:
                prepare_unet(context, worker, base, size, batch, recompute)
                ours = worker("memory", part="step", repeats=2)["bytes"]
            name = f"U-Net base {base}, {batch} × {size}³, memory of a step" + ("" if recompute else ", train.recompute off")
            yield Row(name, ours, peers[best], best + ", eager", [peers[best] / ours], note="bytes")


class Sampler:
    """Sampling one at a time: M samples, S steps each, with the denoiser as it is."""

    def __init__(self, prior, denoiser, x, starts, steps, memory_format, compiled):
        self.prior, self.denoiser = (n.to(memory_format=memory_format).eval() for n in (prior, denoiser))
        if compiled:
            self.prior, self.denoiser = torch.compile(self.prior), torch.compile(self.denoiser)
        self.x, self.starts, self.steps, self.format = x, starts, steps, memory_format

    @torch.no_grad()
    def __call__(self, samples):
        pi = self.prior(self.x.to(memory_format=self.format)).softmax(1)
        return [self.one(r, pi) for r in self.starts[:samples]]

    def one(self, r, pi):
        for s in self.steps:
            inputs = torch.cat([s["in"] * r, self.x, pi], 1).to(memory_format=self.format)
            f = self.denoiser(inputs, torch.full((len(r),), float(s["t"]), device=r.device))
            y0 = (pi + s["skip"] * r + s["out"] * f).clamp(0, 1)
            if not s["last"]:
                r = s["state"] * r + s["clean"] * (y0 - pi)
        return y0

    @torch.no_grad()
    def batched(self, samples):
        """All samples as one batch: what a careful user writes."""
        pi = self.prior(self.x.to(memory_format=self.format)).softmax(1)
        x, self.x = self.x, self.x.expand(samples, -1, -1, -1, -1)
        try:
            return self.one(torch.cat(self.starts[:samples]), pi.expand(samples, -1, -1, -1, -1))
        finally:
            self.x = x


def pgrd(context, base=16, size=64, samples=8, steps=10):
    """Prior once, then M samples of S DDIM steps, one 64^3 window, three classes."""
    x = np.random.default_rng(4).standard_normal((size, size, size, 1), np.float32)
    save(context.file("pgrd.safetensors"), x=x)
    with context.worker() as worker:
        reply = worker("prepare", task="pgrd", base=base, levels=LEVELS, samples=samples, steps=steps,
                       file=context.file("pgrd.safetensors"), weights=context.file("weights.safetensors"))
        worker("results", file=context.file("out.safetensors"))
        ours, weights = load(context.file("out.safetensors")), load(context.file("weights.safetensors"))
        starts = [to_torch(ours[f"start.{m}"]) for m in range(samples)]
        candidates = {}
        for compiled in ([False, True] if context.compiled else [False]):
            for name, memory_format in FORMATS.items():
                prior = take_weights(UNet(1, 3, base, LEVELS), weights, "prior")
                denoiser = take_weights(UNet(7, 3, base, LEVELS, reply["time_features"]), weights, "denoiser")
                candidates[name + (", compiled" if compiled else "")] = Sampler(
                    prior, denoiser, to_torch(x), starts, reply["steps"], memory_format, compiled)
        # A whole run takes long, so the variant is the one that draws a single sample fastest.
        for c in candidates.values():
            c(1)
        best = min(candidates, key=lambda k: seconds(lambda: candidates[k](1), 2))
        peer = candidates[best]
        drawn = {}
        for against, draw in (("a loop over samples", peer), ("one batch of samples", peer.batched)):
            row = in_turn(context, f"PGRD base {base}, {size}³, M = {samples}, S = {steps}, against {against}",
                          lambda: worker("time", part="sample")["seconds"],
                          {best: lambda: seconds(lambda: drawn.update(y=draw(samples)))}, worker)
            require_agreement(row, [(ours[f"sample.{m}"], to_numpy(y.reshape(1, *y.shape[-4:]))[0])
                                    for m, y in enumerate(drawn["y"])], 1e-3)
            yield row


def scaling(context, base=16, sizes=(32, 48, 64, 96, 128)):
    """A training step at batch 1 against the number of voxels."""
    for size in sizes:
        with context.worker() as worker:
            _, x, label, weights = prepare_unet(context, worker, base, size, 1)
            net = take_weights(UNet(1, 3, base, LEVELS), weights, "net")
            trainer = Trainer(net, x, label, torch.contiguous_format, False)
            row = in_turn(context, f"U-Net base {base}, 1 × {size}³, step", lambda: worker("time", part="step")["seconds"],
                          {"contiguous": lambda: seconds(trainer.step)}, worker)
            row.note = f"{1e9 * row.ours / size**3:.0f} ns a voxel (PyTorch {1e9 * row.peer / size**3:.0f})"
            yield row
