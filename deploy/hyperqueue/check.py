"""Does a sweep survive the loss of its cluster? Run on HyperQueue's local cluster, killed half-way.

    pip install hyperqueue
    python deploy/hyperqueue/check.py PATH/TO/gdas TABLE

1. One undisturbed process does all jobs: what is expected.
2. A cluster (server and workers, a process group of its own) does the same jobs in parts, and is killed with SIGKILL,
   running tasks included, when about a third of the results are there.
3. The results that are there are whole and equal to the expected ones.
4. A new cluster is given the same tasks. It must finish them, keep every result that was there (same file, not written
   again), and come to the same results and the same report as the undisturbed process.
"""

import filecmp
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SEEDS, PARTS = 400, 8


def cluster(gdas, table, folder, server):
    """Runs in a process of its own: a local cluster with two workers, and the parts as its tasks."""
    from hyperqueue import Job, LocalCluster
    from hyperqueue.cluster import WorkerConfig

    with LocalCluster(server_dir=server) as local:
        for _ in range(2):
            local.start_worker(WorkerConfig(cores=1))
        client = local.client()
        job = Job(max_fails=0)
        for part in range(PARTS):
            arguments = [gdas, "reproduce", folder, "--table", table, "--shard", f"{part}/{PARTS}"]
            log = str(Path(server) / f"part-{part}")
            job.program(arguments, env={"RAYON_NUM_THREADS": "1"}, stdout=log + ".out", stderr=log + ".err")
        client.wait_for_jobs([client.submit(job)])


def start(gdas, table, folder, server):
    server.mkdir()
    arguments = [sys.executable, __file__, "--cluster", gdas, table, str(folder), str(server)]
    return subprocess.Popen(arguments, start_new_session=True)


def workers_of(folder):
    """Processes that work on the folder: HyperQueue gives each task a session of its own."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"reproduce" in arguments and str(folder).encode() in arguments:
            found.append(int(entry.parent.name))
    return found


def main(gdas, table):
    gdas, table = str(Path(gdas).resolve()), str(Path(table).resolve())
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        expected, folder = scratch / "expected", scratch / "sweep"
        plan = ["--seeds", str(SEEDS)]
        subprocess.run([gdas, "reproduce", expected, "--table", table, *plan], check=True, stdout=subprocess.DEVNULL)
        total = len(list((expected / "results").iterdir()))

        folder.mkdir()
        jobs = subprocess.run([gdas, "reproduce", folder, "--plan", *plan], check=True, capture_output=True).stdout
        (folder / "plan.jsonl").write_bytes(jobs)
        results = folder / "results"

        first = start(gdas, table, folder, scratch / "first")
        while len(list(results.glob("*.json")) if results.exists() else []) < total // 3:
            if first.poll() is not None:
                sys.exit(f"the first cluster ended by itself with {first.returncode}")
            time.sleep(0.01)
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
        for process in workers_of(folder):
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.5)
        survived = {path.name: path.stat().st_mtime_ns for path in results.glob("*.json")}
        damaged = [name for name in survived if not filecmp.cmp(results / name, expected / "results" / name, False)]
        print(f"killed with {len(survived)} of {total} results there, {len(damaged)} of them damaged")

        second = start(gdas, table, folder, scratch / "second")
        code = second.wait()
        logs = "".join(path.read_text() for path in sorted((scratch / "second").glob("part-*.err")))
        if code != 0:
            sys.exit(f"the second cluster ended with {code}:\n{logs}")
        subprocess.run([gdas, "reproduce", folder, "--table", table, "--report-only"], check=True, stdout=subprocess.DEVNULL)
        names = sorted(path.name for path in results.glob("*.json"))
        repeated = [name for name, when in survived.items() if (results / name).stat().st_mtime_ns != when]
        different = [name for name in names if not filecmp.cmp(results / name, expected / "results" / name, False)]
        reports = ("table.csv", "table.md", "table.txt", "ranks.svg", "trajectories.svg")
        report = [name for name in reports if not filecmp.cmp(folder / "report" / name, expected / "report" / name, False)]
        print(f"resumed: {len(names)} of {total} results, {len(repeated)} done twice, {len(different)} different, "
              f"{len(report)} of {len(reports)} report files different")
        sound = 0 < len(survived) < total == len(names) and not (damaged or repeated or different or report)
        sys.exit(0 if sound else "the sweep did not survive")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--cluster"]:
        cluster(*sys.argv[2:])
    elif len(sys.argv) == 3:
        main(*sys.argv[1:])
    else:
        sys.exit(__doc__)
