"""Rows of the table for single operations."""
import numpy as np
import torch
import torch.nn.functional as F

from exchange import in_turn, load, require_agreement, save, seconds
from networks import FORMATS, to_numpy, to_torch

# Input channels, output channels, edge of the cube.
CONVOLUTIONS = [(4, 32, 64), (16, 32, 64), (32, 32, 64), (64, 64, 32), (128, 128, 16)]
# Relative to the largest value. Forward and backward-data add 27 C products, backward-weights
# one for each output voxel.
CONV_TOLERANCE = {"forward": 2e-5, "backward_data": 2e-5, "backward_weights": 2e-4}


def conv(context):
    """conv3d 3x3x3, stride 1, padding 1, no bias, batch 1."""
    aten = torch.ops.aten.convolution_backward
    for cin, cout, edge in CONVOLUTIONS:
        rng = np.random.default_rng(1)
        x = rng.standard_normal((1, edge, edge, edge, cin), np.float32)
        dy = rng.standard_normal((1, edge, edge, edge, cout), np.float32)
        w = rng.standard_normal((3, 3, 3, cin, cout), np.float32)
        save(context.file("conv.safetensors"), x=x, w=w, dy=dy)

        def backward(wanted):
            return lambda a, b, c: aten(b, a, c, None, [1] * 3, [1] * 3, [1] * 3, False, [0] * 3, 1, wanted)

        parts = {
            "forward": lambda a, b, c: F.conv3d(a, c, padding=1),
            "backward_data": backward([True, False, False]),
            "backward_weights": backward([False, True, False]),
        }
        with context.worker() as worker, torch.no_grad():
            flops = worker("prepare", task="conv", file=context.file("conv.safetensors"))["flops"]
            worker("results", file=context.file("out.safetensors"))
            ours = load(context.file("out.safetensors"))
            for part, f in parts.items():
                peers, result = {}, None
                for format_name, memory_format in FORMATS.items():
                    a, b = (to_torch(v).to(memory_format=memory_format) for v in (x, dy))
                    c = torch.from_numpy(w).permute(4, 3, 0, 1, 2).contiguous().to(memory_format=memory_format)
                    peers[format_name] = lambda a=a, b=b, c=c: seconds(lambda: f(a, b, c))
                    if context.compiled:
                        g = torch.compile(f)
                        peers[format_name + ", compiled"] = lambda a=a, b=b, c=c, g=g: seconds(lambda: g(a, b, c))
                    result = f(a, b, c)
                row = in_turn(context, f"conv3d {part.replace('_', '-')} {cin}→{cout}, {edge}³",
                              lambda: worker("time", part=part)["seconds"], peers, worker)
                row.note = of_peak(context, flops / row.ours)
                if part == "forward":
                    pair = ours["y"], to_numpy(result)
                elif part == "backward_data":
                    pair = ours["dx"], to_numpy(result[0])
                else:
                    pair = ours["dw"], result[1].permute(2, 3, 4, 1, 0).numpy()
                require_agreement(row, [pair], CONV_TOLERANCE[part])
                yield row


def of_peak(context, rate):
    peak = max(m["fma_peak"] for m in context.machine[-context.rounds:])
    return f"{rate / 1e9:.0f} GFLOP/s, {100 * rate / peak:.0f} % of the FMA peak"


def norm(context):
    """InstanceNorm with gain and bias, then LeakyReLU(0.01), 32 channels of 64^3."""
    rng = np.random.default_rng(2)
    channels, edge = 32, 64
    x, dy = (rng.standard_normal((1, edge, edge, edge, channels), np.float32) for _ in range(2))
    gamma, beta = 1 + rng.standard_normal(channels, np.float32), rng.standard_normal(channels, np.float32)
    save(context.file("norm.safetensors"), x=x, dy=dy, gamma=gamma, beta=beta)

    def f(a, g, b):
        return F.leaky_relu(F.instance_norm(a, weight=g, bias=b), 0.01)

    import torch._functorch.config
    torch._functorch.config.donated_buffer = False  # the backward pass is timed many times on one graph
    forward, backward, result = {}, {}, None
    for format_name, memory_format in FORMATS.items():
        a = to_torch(x).to(memory_format=memory_format).requires_grad_()
        d = to_torch(dy).to(memory_format=memory_format)
        g, b = (torch.from_numpy(v).requires_grad_() for v in (gamma, beta))
        for suffix, function in {"": f, ", compiled": torch.compile(f) if context.compiled else None}.items():
            if function is None:
                continue
            y = function(a, g, b)

            def run_forward(function=function, a=a, g=g, b=b):
                with torch.no_grad():
                    return function(a, g, b)

            def run_backward(y=y, a=a, g=g, b=b, d=d):
                return torch.autograd.grad(y, (a, g, b), d, retain_graph=True)

            forward[format_name + suffix] = lambda r=run_forward: seconds(r)
            backward[format_name + suffix] = lambda r=run_backward: seconds(r)
            if result is None:
                result = [y, *run_backward()]
    with context.worker() as worker:
        size = worker("prepare", task="norm", file=context.file("norm.safetensors"))["bytes"]
        worker("results", file=context.file("out.safetensors"))
        ours = load(context.file("out.safetensors"))
        for part, peers in (("forward", forward), ("backward", backward)):
            row = in_turn(context, f"InstanceNorm + LeakyReLU {part}, {channels} channels of {edge}³",
                          lambda: worker("time", part=part)["seconds"], peers, worker)
            copy = max(m["copy_bandwidth"] for m in context.machine[-context.rounds:])
            if part == "forward":  # read for the statistics, read and written for the result
                row.note = f"{100 * 3 * size / row.ours / copy:.0f} % of copy bandwidth"
                require_agreement(row, [(ours["y"], to_numpy(result[0]))], 2e-5)
            else:
                pairs = [(ours["dx"], to_numpy(result[1])), (ours["dgamma"].ravel(), result[2].numpy()),
                         (ours["dbeta"].ravel(), result[3].numpy())]
                require_agreement(row, pairs, 2e-4)
            yield row
