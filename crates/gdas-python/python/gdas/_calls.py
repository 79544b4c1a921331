"""What the functions of `_commands` do: Python's values become the program's, and its results objects."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Optional, Union, cast

import numpy as np

from . import _gdas
from ._data import is_files, source, words
from ._genotype import Genotype, text_of
from ._progress import Progress
from ._results import Auto, Network, Result, Search, open_run

Keys = dict[str, Any]


def search(
    data: Any, *, run: Any, overwrite: bool, progress: bool, on_event: Any, on_epoch: Any, on_step: Any, judge: Any, keys: Keys
) -> Search:
    made = start("search", data, {}, run, overwrite, progress, (on_event, on_epoch, on_step), judge, keys)
    return cast(Search, made)


def train(
    genotype: Any,
    data: Any,
    *,
    run: Any,
    overwrite: bool,
    progress: bool,
    on_event: Any,
    on_epoch: Any,
    keys: Keys,
) -> Network:
    if data is None:
        # Images in memory go with the result of the search; the program itself finds those at a path.
        data = getattr(genotype, "_data", None)
    first = {"genotype": text_of(genotype)}
    made = start("train", data, first, run, overwrite, progress, (on_event, on_epoch, None), None, keys)
    return cast(Network, made)


def auto(
    data: Any, *, run: Any, overwrite: bool, progress: bool, on_event: Any, on_epoch: Any, keys: Keys
) -> Auto:
    made = start("auto", data, {}, run, overwrite, progress, (on_event, on_epoch, None), None, keys)
    return cast(Auto, made)


def resume(
    run: Any, data: Any, *, progress: bool, on_event: Any, on_epoch: Any, on_step: Any, judge: Any, keys: Keys
) -> Union[Search, Network, Auto]:
    data = getattr(run, "_data", None) if data is None else data
    first = {"run": word(run)}
    shown = Progress(progress)
    call("resume", {**first, **keys}, data, shown, (on_event, on_epoch, on_step), judge)
    return open_run(first["run"], data)


def start(
    command: str,
    data: Any,
    first: Keys,
    run: Any,
    overwrite: bool,
    progress: bool,
    callbacks: tuple[Any, Any, Any],
    judge: Any,
    keys: Keys,
) -> Result:
    """Makes a run and works in it."""
    if callbacks[2] is not None and keys["log_interval"] is None:
        keys = {**keys, "log_interval": 1}
    if run is not None:
        path = Path(run)
        first = {**first, "runs": str(path.parent), "name": path.name}
    elif overwrite:
        raise ValueError("overwrite=True needs run=...: without it every run has a directory of its own")
    shown = Progress(progress)
    made, _ = call(command, {**first, **keys}, data, shown, callbacks, judge, overwrite)
    if made is None:
        raise _gdas.GdasError("the run was stopped before it began")
    return open_run(made, data)


def evaluate(run: Any, data: Any, *, keys: Keys) -> dict[str, Any]:
    data = getattr(run, "_data", None) if data is None else data
    return cast("dict[str, Any]", answer("evaluate", {"run": word(run), **keys}, data)[0])


def predict(run: Any, images: Any, *, keys: Keys) -> list[dict[str, Any]]:
    if is_files(images):
        return answer("predict", {"run": word(run), "images": words(images), **keys})
    network = run if isinstance(run, (Network, Auto)) else open_run(word(run))
    if isinstance(network, Auto):
        network = network.network
    if not isinstance(network, Network):
        raise ValueError(f"{word(run)} is a search; train what it found first")
    rows = network.predict(images, test_flip=keys.get("test_flip"), weights=keys.get("weights"))
    return [
        {
            "image": str(number),
            "class": network.classes[int(row.argmax())],
            "probability": float(row.max()),
            "probabilities": dict(zip(network.classes, map(float, row))),
        }
        for number, row in enumerate(rows)
    ]


def export(run: Any, *, keys: Keys) -> Path:
    data = keys.pop("data", None)
    if data is None and keys.get("int8"):
        data = getattr(run, "_data", None)
    call("export", {"run": word(run), **keys}, data, Progress(False))
    return Path(keys["to"])


def score(genotypes: Any, data: Any, *, keys: Keys) -> list[dict[str, Any]]:
    several = genotypes if isinstance(genotypes, (list, tuple)) else [genotypes]
    return answer("score", {"genotypes": [text_of(genotype) for genotype in several], **keys}, data)


def cost(genotype: Any, *, keys: Keys) -> dict[str, Any]:
    return cast("dict[str, Any]", answer("cost", {"genotype": text_of(genotype), **keys})[0])


def report(runs: Any, *, keys: Keys) -> Path:
    several = runs if isinstance(runs, (list, tuple)) else [runs]
    return Path(answer("report", {"names": [word(run) for run in several], **keys})[0]["files"][0])


def word(run: Any) -> str:
    """The word that the program takes for a run."""
    return str(run.run) if isinstance(run, Result) else fspath(run)


def answer(command: str, keys: Keys, data: Any = None) -> list[Any]:
    """Runs a command and gives what it puts out."""
    return call(command, keys, data, Progress(False))[1]


def call(
    command: str,
    keys: Keys,
    data: Any,
    progress: Progress,
    callbacks: tuple[Any, Any, Any] = (None, None, None),
    judge: Optional[Callable[[Genotype], float]] = None,
    overwrite: bool = False,
) -> tuple[Optional[Path], list[Any]]:
    """Runs a command: the run that it made, and what it put out."""
    dataset = None
    if data is not None:
        name, dataset = source(data)
        keys = {**keys, "data": name}
    judged = None if judge is None else lambda text: float(judge(as_genotype(text)))
    with space_file(keys) as plain:
        text = json.dumps({key: plain_value(value) for key, value in plain.items() if value is not None})
        watch = observer(progress, *callbacks)
        try:
            run, output = _gdas.command(command, text, dataset, judged, watch, progress.note, overwrite)
        finally:
            progress.close()
    return run, [] if output is None else json.loads(output)


def observer(progress: Progress, on_event: Any, on_epoch: Any, on_step: Any) -> Callable[[dict[str, Any]], bool]:
    """Shows events and passes them on; says whether the run goes on."""

    def watch(event: dict[str, Any]) -> bool:
        progress.event(event)
        kind = event["event"]
        called = [on_event]
        if kind in ("epoch", "train_epoch"):
            called.append(on_epoch)
        if kind == "step":
            called.append(on_step)
        answers = [callback(event) for callback in called if callback is not None]
        return not any(isinstance(given, (bool, np.bool_)) and not given for given in answers)

    return watch


def as_genotype(text: str) -> Genotype:
    """A genotype to judge; of a space that is not built in, its text alone."""
    try:
        return Genotype(text)
    except ValueError:
        return cast(Genotype, text)


def plain_value(value: Any) -> Any:
    """A value as JSON has it: NumPy's scalars are numbers, paths are text."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, PathLike):
        return fspath(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain_value(one) for one in (sorted(value) if isinstance(value, (set, frozenset)) else value)]
    return value


@contextlib.contextmanager
def space_file(keys: Keys) -> Iterator[Keys]:
    """The keys with a space of one's own, a dictionary or TOML, in a file for the program to read. The run keeps the whole
    space in its configuration."""
    space = keys.get("space")
    if isinstance(space, Mapping):
        text = _gdas.space_toml(json.dumps(space))
    elif isinstance(space, str) and "\n" in space:
        text = space
    else:
        yield keys
        return
    handle, path = tempfile.mkstemp(suffix=".toml", prefix="gdas-space-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        yield {**keys, "space": path}
    finally:
        os.unlink(path)
