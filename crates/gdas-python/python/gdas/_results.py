"""Runs as objects: what a search found, a trained network, an automatic run."""

from __future__ import annotations

import json
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Optional, Union

import numpy as np

from . import _gdas, _torch
from ._data import add, is_files
from ._genotype import Genotype
from ._pixels import Collector
from ._torch import arrays_of

if TYPE_CHECKING:
    import torch

    from .types import DataLike, RunLike


class Result(Mapping[str, Any]):
    """A run and its result.

    It is a mapping of everything that `result.json` holds (nothing while the run is not finished), and of `run`.

    Parameters
    ----------
    run : path
        Directory of the run, or its name in `runs/`.
    data : optional
        The images of the run, where they are in memory.

    Attributes
    ----------
    run : pathlib.Path
        Directory of the run.
    finished : bool
        Whether the run came to its end.
    """

    run: Path

    def __init__(self, run: Union[str, "PathLike[str]"], data: Any = None) -> None:
        self.run, info = _gdas.find(fspath(run))
        self._info: dict[str, Any] = json.loads(info)
        # A path means the same images tomorrow; those in memory have to be kept.
        self._data = None if data is None or isinstance(data, (str, PathLike)) else data
        result = _gdas.result(self.run)
        self.finished = result is not None
        self._values: dict[str, Any] = {"run": str(self.run)} if result is None else json.loads(result)

    def __getitem__(self, key: str) -> Any:
        if key not in self._values and not self.finished:
            raise KeyError(f"{key}: {self.run} is not finished; gdas.resume({str(self.run)!r}) goes on")
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        state = "" if self.finished else f", {self._info['status']} after epoch {self._info['epochs_done']}"
        return f"<gdas.{type(self).__name__} {str(self.run)!r}{state}>"

    def events(self) -> list[dict[str, Any]]:
        """Read the event log.

        Returns
        -------
        list of dict
            Everything that happened in the run, in order.
        """
        events: list[dict[str, Any]] = json.loads(_gdas.events(self.run))
        return events

    @property
    def history(self) -> Any:
        """Losses, accuracies and rates of every epoch: a pandas frame, or a dictionary of arrays where pandas is absent."""
        rows = [event for event in self.events() if event["event"] in ("epoch", "train_epoch")]
        names = list(dict.fromkeys(key for row in rows for key in row))
        plain = [n for n in names if n != "event" and not any(isinstance(row.get(n), (list, dict)) for row in rows)]
        columns = {name: np.array([row.get(name) for row in rows]) for name in plain}
        for name, values in columns.items():
            if values.dtype == object and not any(isinstance(value, str) for value in values):
                columns[name] = values.astype(float)  # None, where an epoch was not tested, is NaN.
        try:
            import pandas
        except ImportError:
            return columns
        return pandas.DataFrame(columns)

    def plot(self, ax: Any = None) -> Any:
        """Draw losses and accuracies over the epochs, with matplotlib.

        Parameters
        ----------
        ax : pair of matplotlib axes, optional
            Where to draw the losses and the accuracies. By default a new figure.

        Returns
        -------
        array of matplotlib axes
        """
        try:
            from matplotlib import pyplot
        except ImportError as error:
            raise ImportError("plot() draws with matplotlib: pip install matplotlib") from error
        if ax is None:
            _, ax = pyplot.subplots(1, 2, figsize=(9, 3), layout="constrained")
        history = self.history
        epochs = np.asarray(history["epoch"]) + 1
        for axis, what in zip(ax, ("loss", "accuracy")):
            for part in ("train", "held_out", "validation", "test"):
                name = f"{part}_{what}"
                if name not in history:
                    continue
                values = np.asarray(history[name], dtype=float)
                known = np.isfinite(values)
                if known.any():
                    axis.plot(epochs[known], values[known], label=part.replace("_", " "))
            axis.set_xlabel("epoch")
            axis.set_ylabel(what)
            axis.legend()
        return ax


class Search(Result):
    """What a search found.

    Attributes
    ----------
    run : pathlib.Path
        Directory of the run.
    finished : bool
        Whether the search came to its end.
    """

    @property
    def genotype(self) -> Genotype:
        """The cell found; while the search is not finished, that of its last epoch. Draws itself in a notebook."""
        text = self._values.get("genotype", self._info["genotype"])
        if text is None:
            raise ValueError(f"{self.run} has no genotype yet; gdas.resume({str(self.run)!r}) goes on")
        return Genotype(text, self.run)

    @property
    def cell(self) -> Genotype:
        """The same as `genotype`."""
        return self.genotype

    @property
    def alphas(self) -> dict[str, "np.ndarray[Any, np.dtype[np.float64]]"]:
        """The architecture parameters at the end of the last epoch by the name of the cell: `[edges, operations]`."""
        for event in reversed(self.events()):
            if event["event"] == "epoch":
                return {table["name"]: np.array(table["alphas"], dtype=np.float64) for table in event["alphas"]}
        raise ValueError(f"{self.run} has no epoch yet")

    @property
    def alpha(self) -> "np.ndarray[Any, np.dtype[np.float64]]":
        """The architecture parameters `[edges, operations]` of the (first, normal) cell; `alphas` has those of all."""
        return next(iter(self.alphas.values()))


class Network(Result):
    """A trained network.

    The weights are read when they are first needed.

    Parameters
    ----------
    run : path
        Directory of a training, or its name in `runs/`.
    data : optional
        The images of the run, where they are in memory.
    """

    def __init__(self, run: Union[str, "PathLike[str]"], data: Any = None) -> None:
        super().__init__(run, data)
        self._opened: dict[Optional[str], tuple[_gdas.Network, dict[str, Any]]] = {}

    def _open(self, weights: Optional[str] = None) -> tuple[_gdas.Network, dict[str, Any]]:
        if weights not in self._opened:
            network = _gdas.Network(str(self.run), weights)
            self._opened[weights] = (network, json.loads(network.describe()))
        return self._opened[weights]

    @property
    def genotype(self) -> Genotype:
        """The cells of the network."""
        return Genotype(self._open()[1]["genotype"], self.run)

    @property
    def cell(self) -> Genotype:
        """The same as `genotype`."""
        return self.genotype

    @property
    def classes(self) -> list[str]:
        """Names of the classes."""
        return list(self._open()[1]["classes"])

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the images."""
        height, width, channels = self._open()[1]["image"]
        return height, width, channels

    @property
    def mean(self) -> "np.ndarray[Any, np.dtype[np.float32]]":
        """Mean of the pixels in 0..255 per channel, which is subtracted from them."""
        return np.array(self._open()[1]["mean"], dtype=np.float32)

    @property
    def std(self) -> "np.ndarray[Any, np.dtype[np.float32]]":
        """Standard deviation of the pixels per channel, which they are then divided by."""
        return np.array(self._open()[1]["std"], dtype=np.float32)

    def predict(
        self, images: Any, *, test_flip: Optional[bool] = None, weights: Optional[str] = None
    ) -> "np.ndarray[Any, np.dtype[np.float32]]":
        """Classify images.

        Parameters
        ----------
        images
            An array `[n, height, width]`, `[n, height, width, channels]` or `[n, channels, height, width]`, a list of
            pictures of PIL's, or paths of image files. Pixels as in `gdas.Data`, not normalised.
        test_flip : bool, optional
            Whether the scores of an image and its mirror image are averaged. By default as in the training's tests.
        weights : {"last", "best"}, optional
            Weights of the last epoch, or of the best on the validation images. By default the best if an epoch was chosen.

        Returns
        -------
        numpy.ndarray
            Probabilities `[n, classes]`.
        """
        if is_files(images):
            from . import _calls

            keys = {"test_flip": test_flip, "weights": weights}
            rows = _calls.predict(self, images, keys=keys)
            return np.array([[row["probabilities"][name] for name in self.classes] for row in rows], dtype=np.float32)
        network, known = self._open(weights)
        height, width, _ = known["image"]
        collector = Collector(height if height == width else None)
        add(collector, images)
        count = len(collector)
        probabilities = network.predict(collector.finished(), None if test_flip is None else bool(test_flip))
        return np.frombuffer(probabilities, dtype=np.float32).reshape(count, len(known["classes"])).copy()

    def evaluate(self, data: Optional["DataLike"] = None, **keys: Any) -> dict[str, Any]:
        """Test the network; see `gdas.evaluate`.

        Parameters
        ----------
        data : optional
            Other images than those of the training: the test images among them are used.
        **keys
            As in `gdas.evaluate`.

        Returns
        -------
        dict
            `accuracy`, `loss`, `images` and more.
        """
        from . import _commands

        return _commands.evaluate(self, data, **keys)

    def export(self, to: Union[str, "PathLike[str]"], **keys: Any) -> Path:
        """Write the network for other programs; see `gdas.export`.

        Parameters
        ----------
        to : path
            The file; its ending says the format: `.onnx`, `.safetensors`, `.py`, `.bpk`, `.rs`, `.json`, `.dot`.
        **keys
            As in `gdas.export`.

        Returns
        -------
        pathlib.Path
            The file.
        """
        from . import _commands

        return _commands.export(self, to=to, **keys)

    def state_dict(self, weights: Optional[str] = None) -> dict[str, "np.ndarray[Any, np.dtype[np.float32]]"]:
        """Weights and running statistics by the names of the PyTorch module, in PyTorch's layout.

        Parameters
        ----------
        weights : {"last", "best"}, optional
            As in `predict`.

        Returns
        -------
        dict of numpy.ndarray
        """
        return arrays_of(self._open(weights)[0].safetensors())

    def to_torch(self, *, pixels: bool = False, weights: Optional[str] = None) -> "torch.nn.Module":
        """Make a PyTorch module with the weights in it, ready to be fine-tuned.

        Parameters
        ----------
        pixels : bool
            Whether the module takes pixels in 0..255 and normalises them itself. By default it takes images that are
            normalised: `(pixels - network.mean) / network.std`, as `preprocess` makes them.
        weights : {"last", "best"}, optional
            As in `predict`.

        Returns
        -------
        torch.nn.Module
            In evaluation mode. Takes images `[n, channels, height, width]`, gives logits `[n, classes]`.
        """
        network, _ = self._open(weights)
        return _torch.module(
            network.torch_source(), self.state_dict(weights), (self.mean, self.std) if pixels else None, str(self.run)
        )

    def preprocess(self, images: Any) -> "np.ndarray[Any, np.dtype[np.float32]]":
        """Normalise images as in training, for `to_torch` and exported files.

        Parameters
        ----------
        images
            An array of pixels, in one of the layouts of `predict`.

        Returns
        -------
        numpy.ndarray
            `float32` images `[n, channels, height, width]`.
        """
        from ._pixels import Range, channels_last, to_numpy

        pixels = Range().to_bytes(channels_last(to_numpy(images))).astype(np.float32)
        return np.ascontiguousarray(((pixels - self.mean) / self.std).transpose(0, 3, 1, 2))


class Auto(Result):
    """An automatic run: a search, a training and the exported network."""

    @property
    def search(self) -> Optional[Search]:
        """The search; `None` if there was none, or none yet."""
        path = self.run / "search"
        return Search(path, self._data) if (path / "config.toml").is_file() else None

    @property
    def network(self) -> Network:
        """The trained network."""
        return Network(self.run / "train", self._data)

    @property
    def exported(self) -> list[Path]:
        """The files of the exported network."""
        return [self.run / name for name in self["exported"]]

    @property
    def genotype(self) -> Genotype:
        """The cells of the network."""
        return self.network.genotype

    @property
    def cell(self) -> Genotype:
        """The same as `genotype`."""
        return self.genotype


def open_run(run: Union[str, "PathLike[str]"], data: Any = None) -> Union[Search, Network, Auto]:
    """The run in a directory as what it is."""
    path, info = _gdas.find(fspath(run))
    task = json.loads(info)["task"]
    if task == "search":
        return Search(path, data)
    return Network(path, data) if task == "train" else Auto(path, data)


def load(run: "RunLike", data: Optional["DataLike"] = None) -> Union[Search, Network, Auto]:
    """Open a run.

    Parameters
    ----------
    run : path
        Directory of the run, or its name in `runs/`.
    data : optional
        The images of the run, where they are in memory: `train` and `evaluate` use them.

    Returns
    -------
    Search, Network or Auto
        By what the run is.
    """
    return open_run(run.run if isinstance(run, Result) else run, data)
