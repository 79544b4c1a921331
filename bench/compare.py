"""Times this project's search step and PyTorch's alternately, and prints one table.

    $PYTHON bench/compare.py                       # both spaces, 1 and 2 threads, our PyTorch script
    $PYTHON bench/compare.py --size 224 --batch 16 # larger images
    $PYTHON bench/compare.py --kernels --threads 2 # each kernel, forward and backward, against PyTorch's operation
    $PYTHON bench/compare.py --kernels --gpu vulkan # the same on a graphics card, against PyTorch on CUDA
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
    """Output, and the child's largest memory in MB."""
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    out = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
    return out, usage.ru_maxrss / 1000


def build(example, feature=None):
    # The whole workspace: one package alone has other features, and Burn would be compiled again for them.
    command = ["cargo", "build", "--release", "--workspace", "--example", example, "--message-format=json"]
    env = dict(os.environ)
    if feature:
        # A build with a device is another build of Burn, with a target directory of its own.
        command += ["--features", f"gdas-cli/{feature}"]
        env.setdefault("CARGO_TARGET_DIR", str(ROOT / "target" / "gpu"))
    out = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, env=env).stdout
    found = [json.loads(line).get("executable") for line in out.splitlines()]
    return next(path for path in found if path and pathlib.Path(path).stem == example)


def kernels(args):
    """Each kernel against PyTorch's operation, forward and backward."""
    script = str(HERE / "torch_kernels.py")
    common = ["--batch", str(args.batch), "--repeats", str(args.repeats)]
    if args.gpu:
        binary = args.binary or build("kernels_gpu", args.gpu)
        both = [*common, "--passes", "10"]
        compare_kernels(args, f"{args.gpu}, batch {args.batch}", [binary, *both], [script, *both, "--device", args.torch_device])
        return
    binary = args.binary or build("kernels")
    for threads in args.threads or [1, 2]:
        both = [*common, "--threads", str(threads)]
        compare_kernels(args, f"{threads} threads, batch {args.batch}", [binary, *both], [script, *both])


def compare_kernels(args, what, ours, torch):
    """One table of two commands that print a line per kernel."""
    sides = {"ours": {}, "torch": {}}
    for _ in range(args.rounds):
        for side, command in [("ours", ours), ("torch", [sys.executable, *torch])]:
            for line in measured(command)[0].splitlines():
                run = json.loads(line)
                sides[side].setdefault(run["name"], []).append(run)
    machine = sides["ours"].pop("machine")
    peak, bandwidth = (max(run[key] for run in machine) for key in ("gflop_per_s", "gbyte_per_s"))
    if sides["ours"].keys() != sides["torch"].keys():
        sys.exit("the two sides do not have the same kernels")
    print(f"{what}; peak {peak:.0f} GFLOP/s, memory {bandwidth:.1f} GB/s\n")
    print("| kernel | pass | gdas ms | PyTorch ms | ratio | GFLOP/s | of peak | GB/s | of bandwidth |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, ours in sides["ours"].items():
        for which, products in [("forward", 1), ("backward", 2)]:
            mine = statistics.median(run[which] for run in ours)
            theirs = statistics.median(run[which] for run in sides["torch"][name])
            rate = products * ours[0]["gflop"] / mine
            moved = ours[0][f"mb_{which}"] / 1e3 / mine
            print(
                f"| {name} | {which} | {1e3 * mine:.3g} | {1e3 * theirs:.3g} | {mine / theirs:.2f} | {rate:.0f} "
                f"| {rate / peak:.2f} | {moved:.1f} | {moved / bandwidth:.2f} |",
                flush=True,
            )
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", choices=["nasbench201", "nasnet"], action="append")
    parser.add_argument("--threads", type=int, action="append")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--size", type=int, default=32, help="pixels of an image's side, for steps")
    parser.add_argument("--torch-script", default=os.environ.get("TORCH_SCRIPT", str(HERE / "torch_step.py")))
    parser.add_argument("--architectures", help="what both sides run (another script may have its own file beside it)")
    parser.add_argument("--binary", help="the built `step` (or `kernels`) example; by default it is built first")
    parser.add_argument("--kernels", action="store_true", help="time single kernels instead of search steps")
    parser.add_argument("--repeats", type=int, default=20, help="of each kernel in a round")
    parser.add_argument("--gpu", help="a device feature: time kernels on it instead of on the CPU")
    parser.add_argument("--torch-device", default="cuda", help="where PyTorch runs then")
    args = parser.parse_args()
    if args.kernels:
        return kernels(args)
    step = args.binary or build("step")
    ours_only = pathlib.Path(args.torch_script).resolve() == (HERE / "torch_step.py").resolve()
    print("| space | threads | gdas s | PyTorch s | ratio | GFLOP/s | of FMA peak | saved MB | moved GB/step | peak MB | PyTorch |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for space in args.space or ["nasbench201", "nasnet"]:
        architectures = args.architectures or str(HERE / f"{space}.txt")
        for threads in args.threads or [1, 2]:
            common = ["--threads", str(threads), "--steps", str(args.steps), "--batch", str(args.batch)]
            # Other scripts may know one size only.
            common += ["--size", str(args.size)] if args.size != 32 else []
            ours, theirs, memory = [], [], [0, 0]
            for _ in range(args.rounds):
                out, largest = measured([step, "--space", space, "--architectures", architectures, *common])
                ours.append(json.loads(out))
                memory[0] = max(memory[0], largest)
                extra = ["--space", space, "--architectures", architectures] if ours_only else []
                out, largest = measured([sys.executable, args.torch_script, *common, *extra])
                memory[1] = max(memory[1], largest)
                theirs.append(float(re.search(r"search step mean ([0-9.]+) s", out).group(1)))
            mine = statistics.median(run["mean"] for run in ours)
            torch = statistics.median(theirs)
            peak = max(run["peak_gflop_per_s"] for run in ours)
            rate = ours[0]["gflop"] / mine
            print(
                f"| {space} | {threads} | {mine:.4f} | {torch:.4f} | {mine / torch:.3f} | {rate:.0f} "
                f"| {rate / peak:.2f} | {ours[0]['saved_mb']:.0f} | {ours[0]['moved_gb']:.2f} "
                f"| {memory[0]:.0f} | {memory[1]:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
