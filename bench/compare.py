"""Times this project's search step and PyTorch's alternately, and prints one table.

    $PYTHON bench/compare.py                       # both spaces, 1 and 2 threads, our PyTorch script
    $PYTHON bench/compare.py --torch-script X.py --architectures X.txt --space nasbench201

Needs a Python with PyTorch and a Rust toolchain. Each round runs one side and then the other, so that a busy machine
disturbs both alike; the ratio is that of the medians over the rounds of each run's mean step.
"""

import argparse
import json
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent


def measured(command):
    """Output, and processor seconds of the child."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return out, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def build():
    command = ["cargo", "build", "--release", "-p", "gdas-kernels", "--example", "step", "--message-format=json"]
    out = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    found = [json.loads(line).get("executable") for line in out.splitlines()]
    return next(path for path in found if path and pathlib.Path(path).stem == "step")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", choices=["nasbench201", "nasnet"], action="append")
    parser.add_argument("--threads", type=int, action="append")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--torch-script", default=os.environ.get("TORCH_SCRIPT", str(HERE / "torch_step.py")))
    parser.add_argument("--architectures", help="what both sides run (another script may have its own file beside it)")
    parser.add_argument("--binary", help="the built `step` example; by default it is built first")
    args = parser.parse_args()
    step = args.binary or build()
    ours_only = pathlib.Path(args.torch_script).resolve() == (HERE / "torch_step.py").resolve()
    print("| space | threads | gdas s | PyTorch s | ratio | GFLOP/s | of FMA peak | saved MB | moved GB/step |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for space in args.space or ["nasbench201", "nasnet"]:
        architectures = args.architectures or str(HERE / f"{space}.txt")
        for threads in args.threads or [1, 2]:
            common = ["--threads", str(threads), "--steps", str(args.steps), "--batch", str(args.batch)]
            ours, theirs = [], []
            for _ in range(args.rounds):
                out, _ = measured([step, "--space", space, "--architectures", architectures, *common])
                ours.append(json.loads(out))
                extra = ["--space", space, "--architectures", architectures] if ours_only else []
                out, _ = measured([sys.executable, args.torch_script, *common, *extra])
                theirs.append(float(re.search(r"search step mean ([0-9.]+) s", out).group(1)))
            mine = statistics.median(run["mean"] for run in ours)
            torch = statistics.median(theirs)
            peak = max(run["peak_gflop_per_s"] for run in ours)
            rate = ours[0]["gflop"] / mine
            print(
                f"| {space} | {threads} | {mine:.4f} | {torch:.4f} | {mine / torch:.3f} | {rate:.0f} "
                f"| {rate / peak:.2f} | {ours[0]['saved_mb']:.0f} | {ours[0]['moved_gb']:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
