#!/usr/bin/env python3
"""What each part of the training recipe brings, one by one, at equal epochs.

    python bench/recipe.py --data digits --epochs 12
    python bench/recipe.py --data cifar-subset/ --epochs 8 --seeds 1 2 3

Trains one network (a residual cell, N = 1) with the recipe of `gdas auto`, and once more for every part of it that is
changed. Prints a Markdown table: median test accuracy over the seeds, and the difference from the recipe. Equal epochs, not
equal seconds: what else runs on the machine does not matter. `--subset FROM TO N M` writes N training and M test images of an
image folder as a folder of their own before, the same number of every class.
"""

import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import tempfile

CELL = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"

# The recipe, for a network that is trained for few epochs.
RECIPE = {
    "preset": "quick",
    "cells": 1,
    "warmup_epochs": 1,
    "label_smoothing": 0.1,
    "cutout": 0,
    "ema_decay": 0.0,
    "test_flip": "false",
    "nesterov": "true",
    "weight_decay": 5e-4,
    "learning_rate": 0.1,
    "clip_norm": 5.0,
}

CHANGES = {
    "no warm-up": {"warmup_epochs": 0},
    "learning rate does not fall": {"learning_rate_min": 0.1},
    "no label smoothing": {"label_smoothing": 0.0},
    "no flip, no crop": {"flip": "false", "crop_padding": 0},
    "no crop": {"crop_padding": 0},
    "no flip": {"flip": "false"},
    "cutout": {"cutout": "QUARTER"},
    "moving average 0.9": {"ema_decay": 0.9},
    "moving average 0.99": {"ema_decay": 0.99},
    "flip at test time": {"test_flip": "true"},
    "momentum without Nesterov": {"nesterov": "false"},
    "weight decay 1e-4": {"weight_decay": 1e-4},
    "weight decay 2e-3": {"weight_decay": 2e-3},
    "learning rate 0.05": {"learning_rate": 0.05},
    "learning rate 0.2": {"learning_rate": 0.2},
    "half the batch": {"batch_size": "HALF"},
}


def subset(source, target, train, test):
    """Writes the first images of every class of an image folder as another folder."""
    for part, count in (("train", train), ("test", test)):
        classes = sorted(path for path in (source / part).iterdir() if path.is_dir())
        for kind in classes:
            folder = target / part / kind.name
            folder.mkdir(parents=True)
            for image in sorted(kind.iterdir())[: count // len(classes)]:
                shutil.copy(image, folder / image.name)


def accuracy(binary, options, arguments):
    """Test accuracy of one training, in percent."""
    with tempfile.TemporaryDirectory() as folder:
        command = [binary, "train", CELL, "--data", arguments.data, "--epochs", str(arguments.epochs), "--json", "--threads", arguments.threads]
        command += ["--runs", folder, "--test-interval", "100000", "--channels", str(arguments.channels)]
        for key, value in options.items():
            command += ["--" + key.replace("_", "-"), str(value)]
        lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    results = [json.loads(line) for line in lines]
    return 100 * next(line["test_accuracy"] for line in results if line["event"] == "result")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="target/release/gdas")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--image-size", type=int, default=32, help="pixels; cutout takes a quarter")
    parser.add_argument("--threads", default="auto")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--only", nargs="+", help="changes to weigh, by name")
    parser.add_argument("--subset", nargs=4, metavar=("FROM", "TO", "N", "M"))
    arguments = parser.parse_args()
    if arguments.subset:
        source, target, train, test = arguments.subset
        subset(pathlib.Path(source), pathlib.Path(target), int(train), int(test))
        arguments.data = target
    words = {"QUARTER": arguments.image_size // 4, "HALF": arguments.batch_size // 2}

    def median(change):
        options = RECIPE | {"batch_size": arguments.batch_size} | change
        options = {key: words.get(value, value) for key, value in options.items()}
        found = [accuracy(arguments.binary, options | {"seed": seed}, arguments) for seed in arguments.seeds]
        return statistics.median(found)

    print(f"{arguments.data}, C = {arguments.channels}, {arguments.epochs} epochs, seeds {arguments.seeds}\n")
    print("| change | test accuracy | difference |\n| --- | --- | --- |", flush=True)
    recipe = median({})
    print(f"| none | {recipe:.2f} % | |", flush=True)
    for name, change in CHANGES.items():
        if arguments.only and name not in arguments.only:
            continue
        value = median(change)
        print(f"| {name} | {value:.2f} % | {value - recipe:+.2f} |", flush=True)


if __name__ == "__main__":
    main()
