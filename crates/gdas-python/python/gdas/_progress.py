"""Progress in terminals and notebooks: a bar of tqdm where that is installed, lines elsewhere."""

from __future__ import annotations

import sys
import time
import warnings
from typing import Any, Optional


class Progress:
    """Shows the events of a run.

    Parameters
    ----------
    shown : bool
        Whether anything but warnings is shown.
    """

    def __init__(self, shown: bool) -> None:
        self.shown = shown
        self.bar: Optional[Any] = None
        self.last = 0.0
        self.task = ""
        self.steps = 1

    def event(self, event: dict[str, Any]) -> None:
        """Shows an event."""
        kind = event["event"]
        if kind in ("warning", "alarm"):
            warnings.warn(event["message"], UserWarning, stacklevel=4)
        if not self.shown:
            return
        if kind == "started":
            self.task, self.steps = event["task"], max(event["steps_per_epoch"], 1)
            self._start(self.task, event["epochs"], event["step"] // self.steps)
        elif kind in ("epoch", "train_epoch"):
            self._at(event["epoch"] + 1, event["epochs"], numbers_of(event))
        elif kind == "judging":
            if event["done"] == 0:
                self._start("judging", event["candidates"], 0)
            self._at(event["done"], event["candidates"], {})
        elif kind in ("finished", "interrupted"):
            self.close()

    def note(self, text: str) -> None:
        """Shows what the program has to say; warnings are Python's."""
        if text.startswith("warning: "):
            warnings.warn(text[len("warning: ") :], UserWarning, stacklevel=4)
        elif text.startswith("error: ") or self.shown:
            print(text, file=sys.stderr)

    def close(self) -> None:
        """Ends the bar, if there is one."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def _start(self, name: str, total: int, done: int) -> None:
        self.close()
        self.task, self.last = name, 0.0
        try:
            from tqdm.auto import tqdm
        except ImportError:
            return
        self.bar = tqdm(total=total, initial=done, desc=name, unit="cell" if name == "judging" else "epoch")

    def _at(self, done: int, total: int, numbers: dict[str, str]) -> None:
        if self.bar is not None:
            self.bar.update(done - self.bar.n)
            if numbers:
                self.bar.set_postfix(numbers)
        elif time.monotonic() - self.last >= 1 or done == total:
            self.last = time.monotonic()
            text = ", ".join(f"{name} {value}" for name, value in numbers.items())
            print(f"{self.task} {done}/{total}" + (f": {text}" if text else ""), file=sys.stderr)


def numbers_of(event: dict[str, Any]) -> dict[str, str]:
    """What is worth showing of an epoch."""
    numbers = {"loss": f"{event['train_loss']:.3f}"}
    for key, name in (("held_out_accuracy", "held out"), ("validation_accuracy", "validation"), ("test_accuracy", "test")):
        if event.get(key) is not None:
            numbers[name] = f"{100 * event[key]:.1f} %"
    return numbers
