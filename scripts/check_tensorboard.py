"""Reads the event files of a run with TensorBoard's own reader and compares them with the event log.

    pip install tensorboard
    gdas search --tensorboard --name board && python scripts/check_tensorboard.py runs/board
    gdas auto --tensorboard --name photos && python scripts/check_tensorboard.py runs/photos

Of an automatic run it looks at both stages. Fails if a number of an epoch or a logged step is missing, differs, or is there twice.
"""

import json
import math
import pathlib
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

EPOCH = {
    "loss/train": "train_loss", "loss/held_out": "held_out_loss", "loss/test": "test_loss",
    "accuracy/train": "train_accuracy", "accuracy/held_out": "held_out_accuracy", "accuracy/test": "test_accuracy",
    "schedule/tau": "tau", "schedule/learning_rate": "learning_rate", "cell/parameter_free": "parameter_free",
}
STEP = {
    "step/train_loss": "train_loss", "step/train_accuracy": "train_accuracy",
    "step/held_out_loss": "held_out_loss", "step/held_out_accuracy": "held_out_accuracy",
}


def main():
    run = pathlib.Path(sys.argv[1])
    stages = [run / stage for stage in ("search", "train") if (run / stage).is_dir()]
    for path in stages or [run]:
        check(path)


def check(run):
    board = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    tags = board.Tags()["scalars"]
    found = {tag: [(point.step, point.value) for point in board.Scalars(tag)] for tag in tags}
    wanted = {}
    for line in (run / "events.jsonl").read_text().splitlines():
        event = json.loads(line)
        names = EPOCH if event["event"] in ("epoch", "train_epoch") else STEP if event["event"] == "step" else {}
        for tag, name in names.items():
            if event.get(name) is not None:
                wanted.setdefault(tag, []).append((event["step"], event[name]))
        for table in event.get("alphas", []):
            for edge in table["alphas"]:
                assert len(edge) > 1
            count = sum(len(edge) for edge in table["alphas"])
            own = [tag for tag in tags if tag.startswith(f"alpha/{table['name']}/")]
            if len(own) != count:
                sys.exit(f"{len(own)} alphas of {table['name']}, not {count}")
    for tag, points in wanted.items():
        same = len(points) == len(found.get(tag, [])) and all(
            a[0] == b[0] and math.isclose(a[1], b[1], rel_tol=1e-6) for a, b in zip(points, found[tag])
        )
        if not same:
            sys.exit(f"{tag}: wanted {points}, found {found.get(tag)}")
    for tag in tags:
        steps = [step for step, _ in found[tag]]
        if steps != sorted(set(steps)):
            sys.exit(f"{tag}: steps {steps}")
    if not wanted:
        sys.exit(f"the log of {run} has no numbers")
    print(f"{run}: {len(tags)} tags, {sum(map(len, found.values()))} points, all as in the log")


main()
