"""The worker at the other end of a pipe, times taken in turn, and what a row of the table is."""
import json
import os
import subprocess
import time
from dataclasses import dataclass, field

import numpy as np
from safetensors.numpy import load_file, save_file


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
        self.process.stdin.close()
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


def in_turn(context, name, ours, peers, worker=None, rest=0.03):
    """ours() and each of peers.values() give the seconds of one repeat. They run in turn, so that what else the machine
    does meets both; a pause between lets the threads of the one before go to sleep."""
    n_ours = repeats_for(min(ours(), ours()))
    n_peers = {}
    for variant, f in peers.items():
        f()  # warms up, compiles
        n_peers[variant] = repeats_for(f())
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
    """Largest deviation of (ours, peer) pairs into the row; a larger one than `tolerance` ends the run."""
    row.deviation, row.tolerance = max(deviation(a, b) for a, b in pairs), tolerance
    if not row.deviation <= tolerance:
        raise RuntimeError(f"{row.name}: outputs deviate by {row.deviation:.2e}, expected at most {tolerance:.0e}")


def save(path, **tensors):
    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, path)


load = load_file
