"""A whole job as a user sees it: voxgrad's unet and nnU-Net (plans, augmentation and trainer of its own) on the
same training cases, each for the same wall time on the CPU, scored on the same held-out cases by `voxgrad evaluate`.
Started by ./nnunet (see README.md)."""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

NAME = "Dataset900_Peer"
WARM_UP, MEASURED = 2, 4  # iterations that the time of one is measured by


def log(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def run(command, **options):
    """Runs a command; returns its output, wall seconds, and the peak resident memory of its processes in bytes."""
    log("+ " + " ".join(map(str, command)))
    begin = time.monotonic()
    out = subprocess.run(["/usr/bin/env", "time", "-f", "PEAK %M", *map(str, command)], capture_output=True, text=True,
                         **options)
    seconds = time.monotonic() - begin
    if out.returncode != 0:
        sys.exit(f"{command[0]} ended with {out.returncode}:\n{out.stderr[-4000:]}")
    peak = re.search(r"PEAK (\d+)", out.stderr)
    return out.stdout, seconds, int(peak.group(1)) * 1024 if peak else 0


class Split:
    """Fold 0 of voxgrad: every fifth case by name is held out, and every second of these is scored."""

    def __init__(self, data, cases):
        names = sorted(p.name.removesuffix(".nii.gz") for p in (data / "labelsTr").glob("*.nii.gz"))
        held_out = names[0::5]
        if len(held_out) < 10:
            sys.exit(f"{data}: expected at least 50 cases, so that voxgrad keeps its calibration cases out of training")
        self.training = [n for n in names if n not in held_out]
        self.scored = held_out[1::2][:cases or None]  # the others are voxgrad's calibration cases


def copy_scored(data, split, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name in split.scored:
        for image in (data / "imagesTr").glob(name + "_*.nii.gz"):
            shutil.copy(image, folder)


def dice_of(voxgrad, data, prediction):
    text, _, _ = run([voxgrad, "evaluate", "--truth", data / "labelsTr", "--prediction", prediction, "--only-predicted",
                      "--json", "-q"])
    mean = json.loads(text)["mean"]
    return mean["dsc"]["mean_foreground"], mean["hd95"]["mean_foreground"]


# ---------------------------------------------------------------------------------------------- voxgrad


def voxgrad_job(a, split, minutes):
    """Trains for `minutes` of wall time. The steps follow from a measured one: the learning rate falls with them."""
    folder = a.output / f"voxgrad-{minutes:g}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    base = [a.voxgrad, "train", a.data, "--method", "unet", "--threads", a.threads, "--cache", a.output / "cache",
            "--precision", a.precision, "--set", "train.max_scored=1", "--set", "train.keep_cases=0"]
    for setting in a.set:
        base += ["--set", setting]

    trial = folder / "trial"
    _, first, _ = run([*base, "--max-steps", 1, "-o", trial])  # prepares the cases
    shutil.rmtree(trial)
    _, few, _ = run([*base, "--max-steps", 1, "-o", trial])
    shutil.rmtree(trial)
    _, more, _ = run([*base, "--max-steps", 1 + WARM_UP + MEASURED, "-o", trial])
    step = (more - few) / (WARM_UP + MEASURED)
    preparing = first - few
    steps = max(1, int((minutes * 60 - preparing - few) / step))
    _, wall, peak = run([*base, "--set", f"prior.steps={steps}", "-o", folder / "run"])
    copy_scored(a.data, split, folder / "images")
    _, predicting, _ = run([a.voxgrad, "predict", folder / "run", folder / "images", "-o", folder / "masks", "--threads",
                            a.threads])
    dice, hd95 = dice_of(a.voxgrad, a.data, folder / "masks")
    return {"side": "voxgrad", "minutes": minutes, "wall": wall + preparing, "steps": steps, "step": step,
            "peak": peak, "predicting": predicting, "dice": dice, "hd95": hd95}


# ---------------------------------------------------------------------------------------------- nnU-Net


def nnunet_environment(a):
    raw, prepared = a.output / "nnunet/raw", a.output / "nnunet/preprocessed"
    environment = {**os.environ, "nnUNet_raw": str(raw), "nnUNet_preprocessed": str(prepared),
                   "nnUNet_results": str(a.output / "nnunet/results"), "nnUNet_n_proc_DA": "1",
                   "OMP_NUM_THREADS": str(a.threads), "MKL_NUM_THREADS": str(a.threads)}
    return raw, prepared, environment


def nnunet_prepare(a, split):
    """The data set under nnU-Net's own plan, with voxgrad's split. Returns the seconds that preparing took."""
    raw, prepared, environment = nnunet_environment(a)
    if (prepared / NAME / "splits_final.json").exists():
        return json.loads((a.output / "nnunet/prepared.json").read_text())["seconds"]
    (raw / NAME).mkdir(parents=True, exist_ok=True)
    for part in ("imagesTr", "labelsTr"):
        if not (raw / NAME / part).exists():
            (raw / NAME / part).symlink_to((a.data / part).resolve())
    description = json.loads((a.data / "dataset.json").read_text())
    keys = ("channel_names", "labels", "numTraining", "file_ending")
    (raw / NAME / "dataset.json").write_text(json.dumps({k: description[k] for k in keys}))
    _, seconds, _ = run([Path(sys.executable).parent / "nnUNetv2_plan_and_preprocess", "-d", "900", "-c", "3d_fullres",
                         "-np", a.threads, "-npfp", a.threads], env=environment)
    splits = [{"train": split.training, "val": split.scored}]
    (prepared / NAME / "splits_final.json").write_text(json.dumps(splits))
    (a.output / "nnunet/prepared.json").write_text(json.dumps({"seconds": seconds}))
    return seconds


def nnunet_job(a, split, minutes):
    folder = a.output / f"nnunet-{minutes:g}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _, _, environment = nnunet_environment(a)
    preparing = nnunet_prepare(a, split)
    copy_scored(a.data, split, folder / "images")
    task = [sys.executable, __file__, "--task"]
    out, _, _ = run([*task, json.dumps({"do": "measure", "threads": a.threads, "folder": str(folder)})], env=environment)
    measured = json.loads(out.splitlines()[-1])
    iterations = max(1, int((minutes * 60 - preparing - measured["start"]) / measured["iteration"]))
    _, wall, peak = run([*task, json.dumps({"do": "train", "threads": a.threads, "folder": str(folder),
                                            "iterations": iterations})], env=environment)
    times = {}
    for mirroring in (True, False):
        masks = folder / ("masks" if mirroring else "masks-without-mirroring")
        _, times[mirroring], _ = run([*task, json.dumps({
            "do": "predict", "threads": a.threads, "folder": str(folder), "images": str(folder / "images"),
            "masks": str(masks), "mirroring": mirroring})], env=environment)
    dice, hd95 = dice_of(a.voxgrad, a.data, folder / "masks")
    plain, _ = dice_of(a.voxgrad, a.data, folder / "masks-without-mirroring")
    return {"side": "nnU-Net", "minutes": minutes, "wall": wall + preparing, "steps": iterations,
            "step": measured["iteration"], "peak": peak, "predicting": times[True], "dice": dice, "hd95": hd95,
            "without_mirroring": {"predicting": times[False], "dice": plain}}


def trainer_of(epochs, iterations_an_epoch):
    """nnU-Net's own trainer with a shorter schedule. Its learning rate falls once per epoch."""
    import torch
    from nnunetv2.run.run_training import get_trainer_from_args

    trainer = get_trainer_from_args("900", "3d_fullres", 0, device=torch.device("cpu"))
    trainer.num_epochs = epochs
    trainer.num_iterations_per_epoch = iterations_an_epoch
    trainer.num_val_iterations_per_epoch = 1  # nobody reads them, so their time goes to training
    trainer.save_every = 10**9
    return trainer


def nnunet_task(task):
    """Runs in a process of its own, because what nnU-Net prints must not mix with the table."""
    import torch
    torch.set_num_threads(task["threads"])
    torch.set_num_interop_threads(1)
    folder = Path(task["folder"])
    if task["do"] == "measure":
        begin = time.monotonic()
        trainer = trainer_of(1, WARM_UP + MEASURED)
        times = []
        step = trainer.train_step

        def timed(batch):
            result = step(batch)
            times.append(time.monotonic())
            return result
        trainer.train_step = timed
        trainer.run_training()
        whole = time.monotonic() - begin
        each = (times[-1] - times[WARM_UP - 1]) / MEASURED
        print("\n" + json.dumps({"iteration": each, "start": max(0.0, whole - each * (WARM_UP + MEASURED))}))
    elif task["do"] == "train":
        epochs = min(50, task["iterations"])
        trainer = trainer_of(epochs, max(1, task["iterations"] // epochs))
        trainer.run_training()
        (folder / "model.txt").write_text(trainer.output_folder_base)
    else:
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
        predictor = nnUNetPredictor(use_mirroring=task["mirroring"], perform_everything_on_device=False,
                                    device=torch.device("cpu"), allow_tqdm=False)
        predictor.initialize_from_trained_model_folder((folder / "model.txt").read_text(), use_folds=(0,),
                                                       checkpoint_name="checkpoint_final.pth")
        predictor.predict_from_files(task["images"], task["masks"], num_processes_preprocessing=1,
                                     num_processes_segmentation_export=1)


# ---------------------------------------------------------------------------------------------- table


def table(a, rows):
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    version, _, _ = run([a.voxgrad, "version"])
    print(f"- CPU: {cpu}, {a.threads} threads on both sides; load at the end {os.getloadavg()[0]:.1f}")
    print(f"- {version.strip()}, method unet, precision {a.precision}{', ' + ', '.join(a.set) if a.set else ''}; "
          "nnU-Net 2.8.1, 3d_fullres, its own trainer with a shorter schedule")
    print(f"- {time.strftime('%Y-%m-%d')}. Wall time holds preparing the cases and training; Dice and HD95 (mm) are means over "
          "the scored cases and the classes\n")
    print("| minutes asked for | | wall, min | steps | s a step | peak memory, MiB | Dice | HD95 | predicting all, s |")
    print("|---|---|---|---|---|---|---|---|---|")

    def line(minutes, side, r, predicting, dice, hd95):
        print(f"| {minutes:g} | {side} | {r['wall'] / 60:.1f} | {r['steps']} | {r['step']:.3g} | {r['peak'] >> 20} | "
              f"{dice:.4f} | {hd95} | {predicting:.1f} |")
    for r in rows:
        line(r["minutes"], r["side"], r, r["predicting"], r["dice"], f"{r['hd95']:.2f}")
        if "without_mirroring" in r:
            w = r["without_mirroring"]
            line(r["minutes"], "nnU-Net, no mirroring in prediction", r, w["predicting"], w["dice"], "")


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("data", type=Path)
    p.add_argument("--voxgrad", default="voxgrad")
    p.add_argument("--minutes", default="5,15,30", help="wall times, each a training of its own on both sides")
    p.add_argument("--cases", type=int, default=0, help="score so many held-out cases; 0: all")
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--precision", default="fp32")
    p.add_argument("--set", action="append", default=[], help="KEY=VALUE for voxgrad train")
    p.add_argument("-o", "--output", type=Path, default=Path("nnunet-peer"))
    a = p.parse_args()
    a.output = a.output.resolve()
    a.output.mkdir(parents=True, exist_ok=True)
    split = Split(a.data, a.cases)
    rows = []
    for minutes in map(float, a.minutes.split(",")):
        for job in (voxgrad_job, nnunet_job):
            rows.append(job(a, split, minutes))
            (a.output / "rows.json").write_text(json.dumps(rows, indent=1))
    table(a, rows)


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--task":
        nnunet_task(json.loads(sys.argv[2]))
    else:
        main()
