"""The worker at the other end of a pipe, times taken in turn, and what a row of the table is."""
import json
import os
import subprocess
import time
from dataclasses import dataclass, field

import numpy as np


class Worker:
    """A bench/peers worker process (worker.h has its commands)."""

    def __init__(self, program, threads):
        self.process = subprocess.Popen([program, str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, do, **arguments):
        print(json.dumps({"do": do, **arguments}), file=self.process.stdin, flush=True)
        reply = self.process.stdout.readline()
        if not reply:
            raise RuntimeError(f"the worker ended during {do}")
        reply = json.loads(reply)
        if isinstance(reply, dict) and "error" in reply:
            raise RuntimeError(f"worker: {reply['error']}")
        return reply

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass  # it ended before
        self.process.wait()


@dataclass
class Row:
    name: str
    ours: float  # seconds or bytes, the best round
    peer: float
    variant: str  # of the peer, the best one
    ratios: list = field(default_factory=list)  # peer / ours, a round each
    deviation: float = None  # largest difference over the largest value of the peer
    tolerance: float = None
    note: str = ""

    @property
    def ratio(self):
        return self.peer / self.ours


@dataclass
class Context:
    worker_program: str
    zlib_worker_program: str
    command: str
    threads: int
    rounds: int
    compiled: bool  # torch.compile is tried too
    folder: str  # for files that travel
    machine: list = field(default_factory=list)  # what the machine could do, measured in between

    def file(self, name):
        return os.path.join(self.folder, name)

    def worker(self):
        return Worker(self.worker_program, self.threads)


def seconds(f, repeats=1):
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        f()
        best = min(best, time.perf_counter() - start)
    return best


def repeats_for(once, at_least=0.15):
    return int(np.clip(at_least / max(once, 1e-6), 1, 50))


def warm(f, compiles=False):
    """Seconds of a call after a first one. A long call that compiles nothing needs no second one."""
    first = f()
    return f() if first < 1 or compiles else first


def in_turn(context, name, ours, peers, worker=None, rest=0.03):
    """ours() and each of peers.values() give the seconds of one repeat. They run in turn, so that other work of the
    machine meets both. A pause between them lets the threads of the one before fall asleep."""
    n_ours = repeats_for(warm(ours))
    n_peers = {variant: repeats_for(warm(f, "compiled" in variant)) for variant, f in peers.items()}
    times = {variant: [] for variant in peers}
    own = []
    for _ in range(context.rounds):
        if worker is not None:
            context.machine.append(worker("machine"))
        time.sleep(rest)
        own.append(min(ours() for _ in range(n_ours)))
        for variant, f in peers.items():
            time.sleep(rest)
            times[variant].append(min(f() for _ in range(n_peers[variant])))
    best = min(times, key=lambda v: min(times[v]))
    row = Row(name, min(own), min(times[best]), best)
    row.ratios = [min(t[i] for t in times.values()) / own[i] for i in range(context.rounds)]
    return row


def deviation(ours, peer):
    ours, peer = np.asarray(ours, np.float64), np.asarray(peer, np.float64)
    if ours.shape != peer.shape:
        raise RuntimeError(f"shapes differ: {ours.shape} and {peer.shape}")
    return float(np.abs(ours - peer).max() / max(np.abs(peer).max(), 1e-30))


def require_agreement(row, pairs, tolerance):
    """Writes the largest deviation of (ours, peer) pairs to the row. One larger than `tolerance` ends the run."""
    row.deviation, row.tolerance = max(deviation(a, b) for a, b in pairs), tolerance
    if not row.deviation <= tolerance:
        raise RuntimeError(f"{row.name}: outputs deviate by {row.deviation:.2e}, expected at most {tolerance:.0e}")


DTYPES = {"F32": np.float32, "F64": np.float64, "I32": np.int32, "I64": np.int64, "U8": np.uint8}


def save(path, **tensors):
    """Writes a safetensors file: length of the header, header, arrays. By hand, so that only numpy is needed."""
    header, arrays, at = {}, [], 0
    for name, value in tensors.items():
        value = np.ascontiguousarray(value)
        kind = next(k for k, v in DTYPES.items() if v == value.dtype)
        header[name] = {"dtype": kind, "shape": list(value.shape), "data_offsets": [at, at + value.nbytes]}
        arrays.append(value)
        at += value.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for value in arrays:
            f.write(value.tobytes())


def load(path):
    with open(path, "rb") as f:
        data = f.read()
    start = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    for name, t in json.loads(data[8:start]).items():
        if name != "__metadata__":
            first, last = t["data_offsets"]
            tensors[name] = np.frombuffer(data[start + first:start + last], DTYPES[t["dtype"]]).reshape(t["shape"]).copy()
    return tensors
