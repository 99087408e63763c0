"""The networks in PyTorch, as a user would write them, with weights taken over from the worker.
As a program: the peak memory of training steps, in a process of its own (prints bytes)."""
import math
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F

FORMATS = {"contiguous": torch.contiguous_format, "channels_last_3d": torch.channels_last_3d}


class Block(nn.Module):
    def __init__(self, i, o, stride=1, embedding=0):
        super().__init__()
        self.conv1 = nn.Conv3d(i, o, 3, stride, 1, bias=False)
        self.norm1 = nn.InstanceNorm3d(o, affine=True)
        self.conv2 = nn.Conv3d(o, o, 3, 1, 1, bias=False)
        self.norm2 = nn.InstanceNorm3d(o, affine=True)
        if embedding:
            self.modulation1, self.modulation2 = nn.Linear(embedding, 2 * o), nn.Linear(embedding, 2 * o)
        self.embedding = embedding

    def forward(self, x, e=None):
        x = self.norm1(self.conv1(x))
        if self.embedding:
            x = self.modulate(x, self.modulation1(e))
        x = self.norm2(self.conv2(F.leaky_relu(x, 0.01)))
        if self.embedding:
            x = self.modulate(x, self.modulation2(e))
        return F.leaky_relu(x, 0.01)

    @staticmethod
    def modulate(x, both):
        scale, shift = both[:, :, None, None, None].chunk(2, 1)
        return x * (1 + scale) + shift


class UNet(nn.Module):
    """Strided down, transposed up, two blocks a level; with `embedding` every norm is modulated by the time step."""

    def __init__(self, inputs, outputs, base, levels, embedding=0):
        super().__init__()
        f = [min(base * 2**i, 320) for i in range(levels)]
        self.encoder = nn.ModuleList(
            Block(inputs if i == 0 else f[i - 1], f[i], 1 if i == 0 else 2, embedding) for i in range(levels))
        self.up = nn.ModuleList(nn.ConvTranspose3d(f[i + 1], f[i], 2, 2, bias=False) for i in range(levels - 1))
        self.decoder = nn.ModuleList(Block(2 * f[i], f[i], 1, embedding) for i in range(levels - 1))
        self.head = nn.Conv3d(f[0], outputs, 1)
        self.embedding = embedding
        if embedding:
            self.first, self.second = nn.Linear(embedding, embedding), nn.Linear(embedding, embedding)

    def embed(self, t):
        half = self.embedding // 2
        w = torch.exp(-math.log(10000.0) * torch.arange(half, dtype=torch.float64, device=t.device) / half)
        a = t.double()[:, None] * w
        e = torch.cat([a.sin(), a.cos()], 1).float()
        return F.silu(self.second(F.silu(self.first(e))))

    def forward(self, x, t=None):
        e = self.embed(t) if self.embedding else None
        skips = []
        for block in self.encoder:
            x = block(x, e)
            skips.append(x)
        for i in reversed(range(len(self.up))):
            x = self.decoder[i](torch.cat([self.up[i](x), skips[i]], 1), e)
        return self.head(x)


def name_here(name):
    """Name of the worker's parameter -> name in these modules, and how its axes turn."""
    parts = name.split(".")[1:]
    if parts[-1] == "gamma":
        parts[-1] = "weight"
    if parts[-1] == "beta":
        parts[-1] = "bias"
    if "modulation" in parts:  # encoder.0.norm1.modulation.weight -> encoder.0.modulation1.weight
        i = parts.index("modulation")
        parts[i - 1:i + 1] = ["modulation" + parts[i - 1][-1]]
    if parts[0] == "head":
        if parts[1] != "0":
            return None
        del parts[1]
    if parts[0] == "time":
        del parts[0]
    return None if parts[0] == "auxiliary" else ".".join(parts)


def axes(name, rank):
    if rank == 5:  # [kD, kH, kW, in, out] -> [out, in, ...], transposed convolutions [in, out, ...]
        return (3, 4, 0, 1, 2) if ".up." in name else (4, 3, 0, 1, 2)
    return (1, 0) if rank == 2 else (0,)


def take_weights(net, weights, prefix):
    """Copies the worker's tensors whose names start with prefix. Every parameter of net must be among them."""
    state = {}
    for name, value in weights.items():
        here = name_here(name) if name.startswith(prefix + ".") else None
        if here:
            state[here] = torch.from_numpy(value).permute(axes(name, value.ndim)).contiguous()
    net.load_state_dict(state)
    return net


def to_torch(x):
    """[N, D, H, W, C] or [D, H, W, C] of numpy -> contiguous [N, C, D, H, W]."""
    t = torch.from_numpy(x)
    return (t if t.ndim == 5 else t[None]).permute(0, 4, 1, 2, 3).contiguous()


def to_numpy(t):
    """[N, C, D, H, W] -> [N, D, H, W, C] of numpy."""
    return t.detach().permute(0, 2, 3, 4, 1).contiguous().numpy()


class Trainer:
    """Training steps of a U-Net: cross-entropy, Adam 1e-3."""

    def __init__(self, net, x, label, memory_format, compiled):
        self.net = net.to(memory_format=memory_format)
        self.x, self.label = x.to(memory_format=memory_format), label
        self.run = torch.compile(self.net) if compiled else self.net
        self.optimizer = torch.optim.Adam(self.net.parameters(), 1e-3)

    def forward(self):
        with torch.no_grad():
            return self.run(self.x)

    def step(self):
        self.optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(self.run(self.x), self.label)
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())


def peak_memory():
    """Not getrusage, because its maximum starts with that of the process that started this one."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


def main():
    base, size, batch, threads, memory_format = sys.argv[1:]
    torch.set_num_threads(int(threads))
    size, batch = int(size), int(batch)
    x = torch.randn(batch, 1, size, size, size)
    label = torch.randint(0, 3, (batch, size, size, size))
    trainer = Trainer(UNet(1, 3, int(base), 4), x, label, FORMATS[memory_format], compiled=False)
    before = peak_memory()
    for _ in range(2):
        trainer.step()
    print(peak_memory() - before)


if __name__ == "__main__":
    main()
