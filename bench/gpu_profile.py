"""Where a step on a graphics device spends its time, by kernel, from CubeCL's log of every launch.

    CUBECL_DEBUG_LOG=profile.log CUBECL_DEBUG_OPTION=profile-medium gdas devices --device vulkan --preset paper
    python3 bench/gpu_profile.py profile.log

Each launch is waited for, so the sum of their times is more than a step takes. Counts all steps after the first, and Burn's
own operations too. Times are medians: a kernel's first launch compiles it.
"""

import collections
import re
import statistics
import sys

SECONDS = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
LINE = re.compile(r"\| ([\d.]+)(ns|µs|ms|s)\s*\| (.*)")


def name(kernel):
    """The kernel, and of Burn's operations which one it does."""
    parts = [part.strip().split("_")[0] for part in kernel.split("|")]
    return " ".join(parts[:2]) if "inop" in parts[0] else parts[0]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8", errors="replace") as log:
        launches = [(name(found[3]), float(found[1]) * SECONDS[found[2]]) for found in map(LINE.match, log) if found]
    # The norm of a gradient is finished once in a step, and once before when the device is checked.
    ends = [i for i, (kernel, _) in enumerate(launches) if kernel == "NormFinish"][1:]
    if len(ends) < 2:
        sys.exit(f"{sys.argv[1]} has no two steps in it: was it written by `gdas devices` on a device with the engine?")
    steps = len(ends) - 1
    found = collections.defaultdict(list)
    for kernel, seconds in launches[ends[0] : ends[-1]]:
        found[kernel].append(seconds)
    each = {kernel: statistics.median(seconds) for kernel, seconds in found.items()}
    of_step = {kernel: each[kernel] * len(seconds) / steps for kernel, seconds in found.items()}
    total = sum(of_step.values())
    print("| kernel | launches per step | microseconds each | of all time |")
    print("| --- | --- | --- | --- |")
    for kernel, seconds in sorted(of_step.items(), key=lambda item: -item[1]):
        print(f"| {kernel} | {len(found[kernel]) / steps:.0f} | {1e6 * each[kernel]:.1f} | {100 * seconds / total:.1f} % |")
    all_launches = sum(map(len, found.values())) / steps
    print(f"| all | {all_launches:.0f} | {1e6 * total / all_launches:.1f} | {1e3 * total:.1f} ms |")


if __name__ == "__main__":
    main()
