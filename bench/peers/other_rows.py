"""Rows of the table for reading files and starting the command."""
import subprocess
import sys

import nibabel
import numpy as np

from exchange import Row, Worker, in_turn, load, require_agreement, seconds


def volumes(context):
    """A CT-like image and a label map of 256 x 256 x 128 voxels, gzip as nibabel writes it."""
    shape = (256, 256, 128)
    rng = np.random.default_rng(5)
    grid = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    radius = np.sqrt(sum(g**2 for g in grid))
    image = np.where(radius < 0.9, 60 - 40 * radius, -1000) + rng.normal(0, 12, shape)
    label = (radius < 0.4).astype(np.uint8) + (radius < 0.2)
    for name, data in (("image, int16", image.astype(np.int16)), ("label map, uint8", label)):
        path = context.file(name.split(",")[0].replace(" ", "-") + ".nii.gz")
        nibabel.save(nibabel.Nifti1Image(data, np.eye(4)), path)
        yield name, path


def read(context):
    """Reading a .nii.gz from the page cache: voxels as stored, and as float32."""
    def stored(path):
        return np.asanyarray(nibabel.load(path).dataobj)

    def floats(path):
        return nibabel.load(path).get_fdata(dtype=np.float32, caching="unchanged")

    for name, path in volumes(context):
        for library, program in (("zlib", context.zlib_worker_program), ("libdeflate", context.worker_program)):
            with Worker(program, context.threads) as worker:
                worker("prepare", task="read", path=path)
                worker("results", file=context.file("out.safetensors"))
                ours = load(context.file("out.safetensors"))["volume"]
                for part, f in (("stored", stored), ("float", floats)):
                    row = in_turn(context, f"read .nii.gz ({name}) as {'stored' if part == 'stored' else 'float32'}, {library}",
                                  lambda: worker("time", part=part)["seconds"], {"nibabel": lambda: seconds(lambda: f(path))})
                    require_agreement(row, [(ours[0], np.transpose(f(path), (2, 1, 0)))], 0.0)
                    megabytes = nibabel.load(path).header.get_data_dtype().itemsize * ours.size / 1e6
                    row.note = f"{megabytes / row.ours:.0f} MB/s of voxels"
                    yield row


def start(context):
    """From the start of the process to its end; PyTorch's is that of importing it."""
    def spend(command):
        return seconds(lambda: subprocess.run(command, check=True, capture_output=True))

    times = sorted(spend([context.command, "info"]) for _ in range(20))
    peer = min(spend([sys.executable, "-c", "import torch"]) for _ in range(3))
    yield Row("start of the command (`voxgrad info`), best of 20", times[0], peer, "`import torch`", [peer / times[0]],
              note=f"median {1e3 * times[10]:.1f} ms")
