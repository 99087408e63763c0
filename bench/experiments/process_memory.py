"""Runs a command and samples its memory, for the experiments in this folder."""
import dataclasses
import subprocess
import sys
import time

INTERVAL = 0.02  # seconds between samples
# Of /proc/PID/status. RssAnon: memory of its own. RssFile: pages of mapped files, which the system can take
# back. VmHWM: the peak of all resident pages, kept by the system.
FIELDS = ("RssAnon", "RssFile", "VmHWM")


@dataclasses.dataclass
class Measured:
    seconds: float
    peak: dict  # MiB of each field

    def row(self):
        """Cells for table(): seconds and MiB."""
        return [f"{self.seconds:.1f}"] + [f"{self.peak[field]:.0f}" for field in FIELDS]


COLUMNS = ["wall s"] + [f"{field} MiB" for field in FIELDS]


def memory_of(pid):
    """MiB of each field. A process that has ended has none."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        lines = (line.split() for line in status)
        return {words[0][:-1]: int(words[1]) / 1024 for words in lines if words[0][:-1] in FIELDS}


def measure(command, log_path):
    """Runs a command with its output in a file. A command that fails ends the program."""
    print("running", *command, file=sys.stderr, flush=True)
    peak = dict.fromkeys(FIELDS, 0.0)
    began = time.monotonic()
    with open(log_path, "w", encoding="utf-8") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            while process.poll() is None:
                for field, size in memory_of(process.pid).items():
                    peak[field] = max(peak[field], size)
                time.sleep(INTERVAL)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if process.returncode != 0:
        with open(log_path, encoding="utf-8", errors="replace") as log:
            print(log.read()[-2000:], file=sys.stderr)
        sys.exit(f"{' '.join(command)}: exit code {process.returncode}; its output is in {log_path}")
    return Measured(time.monotonic() - began, peak)


def table(rows):
    """Text with the cells of each column aligned: the first column left, the others right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ([row[0].ljust(widths[0])] + [cell.rjust(w) for cell, w in zip(row[1:], widths[1:])] for row in rows)
    return "".join("  ".join(line) + "\n" for line in lines)


def split_arguments(arguments):
    """What stands before and behind `--`."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:at], arguments[at + 1:]
