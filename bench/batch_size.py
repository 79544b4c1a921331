"""What a larger batch does to the cell that is found, the learning rate growing with it.

    python bench/batch_size.py --binary target/release/gdas
    python bench/batch_size.py --sizes 64 256 --same-steps      # as many steps as at 64 images: more epochs

Searches on the built-in digits with several seeds, one after another, and prints a table: mean ± standard deviation over
the seeds. Accuracy and loss are those of the cell found, with the shared weights, on held-out images.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

MEANT_FOR = 64  # images per step that the preset's learning rate is meant for
EPOCHS = 100  # of the preset


def search(options, folder, size, seed):
    """What a search says of its cell."""
    command = [options.binary, "search", "--seed", seed, "--batch-size", size, "--learning-rate-batch", MEANT_FOR]
    command += ["--threads", options.threads, "--runs", folder, "--name", f"{size}-{seed}", "--log-interval", 0, "--json"]
    if options.same_steps:
        command += ["--epochs", EPOCHS * size // MEANT_FOR]
    out = subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE, text=True).stdout
    events = {}
    for line in out.splitlines():
        event = json.loads(line)
        events[event["event"]] = event
    result, judged, finished = events["result"], events["judged"], events["finished"]
    return {
        "accuracy": 100 * result["held_out_accuracy"],
        "loss": judged["loss"],
        "own_loss": judged["own_loss"],
        "parameter_free": 100 * result["parameter_free"],
        "steps": finished["step"],
        "seconds": finished["seconds"],
        "genotype": result["genotype"],
    }


def spread(values, digits):
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.{digits}f} ± {deviation:.{digits}f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=pathlib.Path(__file__).parent.parent / "target/release/gdas")
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 64, 128, 256])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--same-steps", action="store_true", help="lengthen the search as the batch grows")
    options = parser.parse_args()
    print("| batch | steps | accuracy % | held-out loss | alpha's own cell, loss | parameter-free edges % | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for size in options.sizes:
            runs = []
            for seed in range(options.seeds):
                runs.append(search(options, folder, size, seed))
                print(f"batch {size}, seed {seed}: {runs[-1]}", file=sys.stderr, flush=True)
            of = {key: [run[key] for run in runs] for key in runs[0] if key != "genotype"}
            cells = [size, f"{of['steps'][0]:,}", spread(of["accuracy"], 1), spread(of["loss"], 3)]
            cells += [spread(of["own_loss"], 3), spread(of["parameter_free"], 0), spread(of["seconds"], 0)]
            print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


if __name__ == "__main__":
    main()
