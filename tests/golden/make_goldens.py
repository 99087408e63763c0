#!/usr/bin/env python3
"""Golden values of tests/autograd/golden_test.cc: operations and a whole small U-Net, forward and backward, in PyTorch.

Usage: python3 tests/golden/make_goldens.py [folder]      (needs torch and safetensors; default: this folder)

Each file holds cases. Of a case NAME: NAME/in0, in1, ... (inputs and weights), NAME/out, NAME/grad_out (the seed of the
walk back) and NAME/grad0, ... (gradients of the floating-point inputs). Everything is computed in float64 and stored in
voxgrad's layouts: volumes [N, D, H, W, C], conv weights [kD, kH, kW, Cin, Cout], linear weights [I, O].
"""
import pathlib
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

torch.set_default_dtype(torch.float64)


# From voxgrad's layouts to those of PyTorch; autograd differentiates through them.
def volume(x):
    return x.permute(0, 4, 1, 2, 3)


def channels_last(x):
    return x.permute(0, 2, 3, 4, 1)


def conv_weight(w):
    return w.permute(4, 3, 0, 1, 2)


def transposed_weight(w):
    return w.permute(3, 4, 0, 1, 2)


class File:
    """Collects cases; `run` differentiates f at the inputs, which are in voxgrad's layouts."""

    def __init__(self, name, seed):
        self.name = name
        self.tensors = {}
        self.generator = torch.Generator().manual_seed(seed)

    def normal(self, *shape, scale=1.0):
        return torch.randn(shape, generator=self.generator) * scale

    def labels(self, classes, *shape):
        return torch.randint(classes, shape, generator=self.generator).to(torch.int32)

    def run(self, case, inputs, f):
        leaves = [x.clone().requires_grad_() if x.is_floating_point() else x for x in inputs]
        out = f(*leaves)
        seed = self.normal(*out.shape)
        out.backward(seed)
        values = {"out": out.detach(), "grad_out": seed}
        for i, x in enumerate(leaves):
            values[f"in{i}"] = inputs[i]
            if x.is_floating_point():
                values[f"grad{i}"] = x.grad
        for key, value in values.items():
            self.tensors[f"{case}/{key}"] = value.clone(memory_format=torch.contiguous_format)

    def save(self, folder):
        save_file(self.tensors, folder / f"{self.name}.safetensors", {"torch": torch.__version__.split("+")[0]})


def conv3d(x, w, b, stride=1):
    padding = tuple((k - 1) // 2 for k in w.shape[:3])
    return channels_last(F.conv3d(volume(x), conv_weight(w), b, stride=stride, padding=padding))


def conv_transpose3d(x, w, b):
    return channels_last(F.conv_transpose3d(volume(x), transposed_weight(w), b, stride=tuple(w.shape[:3])))


def instance_norm(x, gamma, beta):
    return channels_last(F.instance_norm(volume(x), weight=gamma, bias=beta, eps=1e-5))


def convolutions():
    f = File("conv", 1)
    n = f.normal
    f.run("conv3d_3x3x3", [n(2, 4, 5, 6, 3), n(3, 3, 3, 3, 5), n(5)], conv3d)
    f.run("conv3d_stride_2", [n(1, 5, 6, 7, 4), n(3, 3, 3, 4, 3), n(3)], lambda x, w, b: conv3d(x, w, b, 2))
    f.run("conv3d_1x3x3", [n(1, 2, 6, 7, 2), n(1, 3, 3, 2, 4), n(4)], lambda x, w, b: conv3d(x, w, b, (1, 2, 2)))
    f.run("conv3d_two_inputs", [n(1, 3, 4, 5, 2), n(1, 3, 4, 5, 3), n(3, 3, 3, 5, 4), n(4)],
          lambda x, y, w, b: conv3d(torch.cat([x, y], -1), w, b))
    f.run("conv3d_1x1x1", [n(2, 2, 3, 4, 6), n(1, 1, 1, 6, 3), n(3)], conv3d)
    f.run("conv_transpose3d_2x2x2", [n(2, 2, 3, 4, 5), n(2, 2, 2, 5, 3), n(3)], conv_transpose3d)
    f.run("conv_transpose3d_1x2x2", [n(1, 2, 3, 4, 3), n(1, 2, 2, 3, 2), n(2)], conv_transpose3d)
    f.run("linear", [n(2, 3, 7), n(7, 4), n(4)], lambda x, w, b: F.linear(x, w.T, b))
    return f


def norms():
    f = File("norm", 2)
    n = f.normal
    x = n(2, 3, 4, 5, 6)
    f.run("instance_norm", [x, n(6), n(6)], instance_norm)
    f.run("instance_norm_leaky_relu", [x, n(6), n(6)], lambda *a: F.leaky_relu(instance_norm(*a), 0.01))
    f.run("group_norm", [x, n(6), n(6)],
          lambda x, g, b: channels_last(F.group_norm(volume(x), 3, weight=g, bias=b, eps=1e-5)))
    f.run("group_norm_silu_modulated", [x, n(6), n(6), n(2, 6), n(2, 6)],
          lambda x, g, b, scale, shift: F.silu(
              channels_last(F.group_norm(volume(x), 2, weight=g, bias=b, eps=1e-5))
              * (1 + scale[:, None, None, None]) + shift[:, None, None, None]))
    f.run("layer_norm", [n(2, 5, 8), n(8), n(8)], lambda x, g, b: F.layer_norm(x, (8,), g, b, eps=1e-5))
    f.run("rms_norm", [n(2, 5, 8), n(8)], lambda x, g: F.rms_norm(x, (8,), g, eps=1e-8))
    return f


def elements():
    f = File("element", 3)
    x = f.normal(2, 2, 3, 4, 3, scale=2.0)
    f.run("gelu", [x], F.gelu)
    f.run("silu", [x], F.silu)
    f.run("relu", [x], F.relu)
    f.run("leaky_relu", [x], lambda x: F.leaky_relu(x, 0.01))
    f.run("sigmoid", [x], torch.sigmoid)
    f.run("softmax", [x], lambda x: F.softmax(x / 0.7, -1))
    f.run("log_softmax", [x], lambda x: F.log_softmax(x, -1))
    q, k, v = (f.normal(2, 3, length, 8) for length in (6, 7, 7))
    f.run("attention", [q, k, v], lambda q, k, v: F.scaled_dot_product_attention(q, k, v))
    # [N, positions, heads, channels] here, heads before positions in PyTorch; fewer values than channels.
    heads = lambda *a, **k: F.scaled_dot_product_attention(*(t.transpose(1, 2) for t in a), **k).transpose(1, 2)
    q, k, v = f.normal(2, 5, 3, 8), f.normal(2, 9, 3, 8), f.normal(2, 9, 3, 4)
    f.run("attention_heads", [q, k, v], heads)
    f.run("attention_scale", [q, k, v], lambda q, k, v: heads(q, k, v, scale=0.7))
    return f


def grids():
    f = File("grid", 4)
    x = f.normal(2, 4, 5, 6, 3)
    for name, size in (("up", (8, 10, 12)), ("down", (2, 3, 5)), ("mixed", (4, 7, 3)), ("depth_1", (1, 9, 9))):
        f.run(f"trilinear_{name}", [x if name != "depth_1" else f.normal(1, 1, 5, 4, 2)],
              lambda x, size=size: channels_last(
                  F.interpolate(volume(x), size=size, mode="trilinear", align_corners=False)))
    f.run("nearest", [x], lambda x: channels_last(F.interpolate(volume(x), size=(7, 3, 9), mode="nearest-exact")))
    f.run("max_pool", [x], lambda x: channels_last(F.max_pool3d(volume(x), (2, 2, 3))))
    f.run("avg_pool", [x], lambda x: channels_last(F.avg_pool3d(volume(x), 2)))
    return f


def soft_dice(logits, label, background=False, smooth=1e-5):
    p = F.softmax(logits, -1)
    y = F.one_hot(label.long(), logits.shape[-1]).to(p.dtype)
    space = tuple(range(p.dim() - 1))
    dice = (2 * (p * y).sum(space) + smooth) / (p.sum(space) + y.sum(space) + smooth)
    return 1 - (dice if background else dice[1:]).mean()[None]


def losses():
    f = File("loss", 5)
    z, label = f.normal(2, 3, 4, 5, 4), f.labels(4, 2, 3, 4, 5)
    f.run("cross_entropy", [z, label], lambda z, y: F.cross_entropy(volume(z), y.long())[None])
    f.run("soft_dice", [z, label], soft_dice)
    f.run("soft_dice_background", [z, label], lambda z, y: soft_dice(z, y, True))
    f.run("mse", [f.normal(2, 3, 4, 2, 2), f.normal(2, 3, 4, 2, 2)], lambda x, y: F.mse_loss(x, y)[None])
    normal = torch.distributions.Normal
    f.run("kl_gaussian", [f.normal(3, 6), f.normal(3, 6, scale=0.5), f.normal(3, 6), f.normal(3, 6, scale=0.5)],
          lambda mq, sq, mp, sp: torch.distributions.kl_divergence(
              normal(mq, sq.exp()), normal(mp, sp.exp())).sum(-1).mean()[None])
    return f


def unet():
    """3 levels of two conv-InstanceNorm-LeakyReLU blocks, strided convolutions down, transposed convolutions up, skips
    behind the upsampled tensor, a 1x1x1 head. Input 0 is the image; then the parameters in the order of use."""
    f = File("unet", 6)
    features = [4, 6, 8]
    parameters = []

    def conv(k, cin, cout):
        parameters.extend([f.normal(k, k, k, cin, cout, scale=(2 / (k**3 * cin)) ** 0.5), f.normal(cout, scale=0.1)])

    def block(cin, cout):
        conv(3, cin, cout)
        parameters.extend([1 + f.normal(cout, scale=0.1), f.normal(cout, scale=0.1)])

    channels = 2
    for width in features:
        block(channels, width)
        block(width, width)
        channels = width
    for width in reversed(features[:-1]):
        conv(2, channels, width)
        block(2 * width, width)
        block(width, width)
        channels = width
    conv(1, channels, 3)

    def forward(x, *values):
        p = iter(values)

        def run(x, stride=1):
            x = conv3d(x, next(p), next(p), stride)
            return F.leaky_relu(instance_norm(x, next(p), next(p)), 0.01)

        skips = []
        for level in range(len(features)):
            x = run(run(x, 1 if level == 0 else 2))
            skips.append(x)
        for skip in reversed(skips[:-1]):
            x = conv_transpose3d(x, next(p), next(p))
            x = run(run(torch.cat([x, skip], -1)))
        return conv3d(x, next(p), next(p))

    f.run("unet", [f.normal(2, 8, 12, 8, 2)] + parameters, forward)
    return f


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent
    for make in (convolutions, norms, elements, grids, losses, unet):
        make().save(folder)


if __name__ == "__main__":
    main()
