#!/usr/bin/env python3
"""Checks that no command builds Burn twice: whatever packages of the workspace a command selects, Burn and all it
depends on have the features that they have in the workspace as a whole.

    python3 scripts/check_features.py

Where that fails, the features named belong into crates/gdas-features/Cargo.toml.
"""

import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments], cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout


def tree(*arguments):
    """Package and features, as lines of `name version|features`."""
    lines = cargo("tree", "--locked", "--prefix", "none", "--no-dedupe", "--format", "{p}|{f}", *arguments).splitlines()
    return {line.replace(" (proc-macro)", "") for line in lines if line}


def name(line):
    return line.split("|")[0]


burn = {name(line) for line in tree("--package", "burn", "--edges", "normal,build")}
whole = tree("--workspace")
wrong = 0
packages = json.loads(cargo("metadata", "--locked", "--no-deps", "--format-version", "1"))["packages"]
selections = [("test", package["name"], "normal,build,dev") for package in packages if package["name"] != "gdas-features"]
# Built without what tests need.
BUILT = ("gdas-cli", "gdas-python")
selections += [("build", package["name"], "normal,build") for package in packages if package["name"] in BUILT]
for command, package, edges in selections:
    for line in sorted(tree("--package", package, "--edges", edges) - whole):
        if name(line) in burn:
            wrong += 1
            expected = " or ".join(other.split("|")[1] for other in whole if name(other) == name(line))
            print(f"cargo {command} -p {package}: {name(line)} has features [{line.split('|')[1]}], elsewhere [{expected}]")
sys.exit(wrong > 0)
