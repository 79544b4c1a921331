"""NAS-Bench-201's table, opened once and asked in microseconds."""

from __future__ import annotations

import json
import random
from os import PathLike, fspath
from typing import Any, Literal, Optional, Sequence, Union

from . import _gdas
from ._genotype import Genotype, text_of
from .types import Query, TableResult

Cell = Union[int, str, Genotype, Any]

LAST = {"12": 12, "200": 200}


class Table:
    """The results of NAS-Bench-201's 15,625 cells.

    Parameters
    ----------
    path : path
        A CSV file, a file that `gdas bench convert` wrote (`.safetensors`), or one of the benchmark's official files.

    Notes
    -----
    A cell is given as its index, its text, a `Genotype` or a search's result. Data sets are `cifar10-valid`, `cifar10`,
    `cifar100` and `ImageNet16-120`. Accuracies are in percent, parameters and multiply-adds in millions.

    Examples
    --------
    >>> table = gdas.Table("nasbench201.csv")            # doctest: +SKIP
    >>> table.query(6111)["test_accuracy"]               # doctest: +SKIP
    """

    def __init__(self, path: Union[str, "PathLike[str]"]) -> None:
        self._table = _gdas.Table(fspath(path))
        self._path = fspath(path)

    def __len__(self) -> int:
        return len(self._table)

    def __repr__(self) -> str:
        return f"<gdas.Table {self._path!r}: {len(self)} cells>"

    def __getitem__(self, index: int) -> str:
        """The text of a cell, as `nats_bench` gives it."""
        if not 0 <= index < len(self):
            raise IndexError(f"index {index}, the table has {len(self)} cells")
        return self._table.cell(index)

    def index(self, cell: Cell) -> int:
        """Find a cell.

        Parameters
        ----------
        cell : int, str, Genotype or Search
            The cell.

        Returns
        -------
        int
            Its index.
        """
        return self._table.index(as_cell(cell))

    def settings(self) -> list[tuple[str, int]]:
        """List the data sets and the numbers of epochs that there are results for.

        Returns
        -------
        list of (str, int)
        """
        return self._table.settings()

    def query(
        self, cell: Cell, dataset: str = "cifar10", epochs: int = 200, seed: Optional[int] = None
    ) -> dict[str, float]:
        """Look a training up.

        Parameters
        ----------
        cell : int, str, Genotype or Search
            The cell.
        dataset : str
            The data set.
        epochs : {12, 200}
            Length of the training.
        seed : int, optional
            The run with this seed. By default the mean over the runs.

        Returns
        -------
        dict of float
            All that is known: `train_accuracy`, `test_accuracy`, `valid_accuracy`, losses, `parameters`, `flops`,
            `latency`, seconds.
        """
        return self._table.query(as_cell(cell), dataset, epochs, seed)

    def results(self, cell: Cell) -> list[TableResult]:
        """Look all trainings of a cell up.

        Parameters
        ----------
        cell : int, str, Genotype or Search
            The cell.

        Returns
        -------
        list of dict
            Per data set and length: `dataset`, `epochs`, and `values` as `query` gives them.
        """
        index = self.index(cell)
        found: list[TableResult] = []
        for dataset, epochs in self.settings():
            if self._table.seeds(index, dataset, epochs):
                values = self._table.query(index, dataset, epochs, None)
                found.append({"dataset": dataset, "epochs": epochs, "values": values})
        return found

    def best(
        self,
        dataset: str = "cifar10",
        by: str = "test_accuracy",
        *,
        epochs: int = 200,
        max_parameters: Optional[float] = None,
        max_flops: Optional[float] = None,
        max_latency: Optional[float] = None,
    ) -> tuple[int, float]:
        """Find the best cell.

        Parameters
        ----------
        dataset : str
            The data set.
        by : str
            What is compared; see `query`. More is better for accuracies, less for all others.
        epochs : {12, 200}
            Length of the training.
        max_parameters, max_flops : float, optional
            Millions of parameters and of multiply-adds at most.
        max_latency : float, optional
            Seconds at most for 256 images on the benchmark's machine.

        Returns
        -------
        index : int
            The cell.
        value : float
            Its mean.
        """
        best = self._table.best(dataset, epochs, by, max_parameters, max_flops, max_latency)
        if best is None:
            raise ValueError("no cell is within the limits; raise them")
        return best

    def rank(self, cell: Cell, dataset: str = "cifar10", by: str = "test_accuracy", *, epochs: int = 200) -> int:
        """Rank a cell among all.

        Parameters
        ----------
        cell : int, str, Genotype or Search
            The cell.
        dataset : str
            The data set.
        by : str
            What is compared; see `best`.
        epochs : {12, 200}
            Length of the training.

        Returns
        -------
        int
            1 for the best; equal cells share the better rank.
        """
        return self._table.rank(as_cell(cell), dataset, epochs, by)[0]

    def stats(self) -> dict[str, Any]:
        """Describe the whole table.

        Returns
        -------
        dict
            Number of `cells`, number of `unique` ones (isomorphic cells counted once), and per data set, length and
            quantity (`quantities`) mean, deviation, quartiles, largest and smallest cell.
        """
        stats: dict[str, Any] = json.loads(self._table.stats())
        return stats

    def simulate(
        self,
        algorithms: Union[str, Sequence[str]] = (),
        dataset: str = "cifar10",
        *,
        seeds: int = 500,
        seconds: Optional[float] = None,
        queries: Optional[int] = None,
    ) -> list[dict[str, Any]]:
        """Run search algorithms on the table.

        A search trains a cell for 12 epochs by looking it up, and pays the time that the table has for that.

        Parameters
        ----------
        algorithms : str or sequence of str
            Of `random`, `evolution`, `reinforce`, `bohb`, `local`. By default all.
        dataset : str
            Data set to search on.
        seeds : int
            Searches with seeds 0, 1, ...
        seconds : float, optional
            Simulated seconds of a search. By default as published.
        queries : int, optional
            Trainings of a search, instead of a time.

        Returns
        -------
        list of dict
            A row per algorithm.
        """
        if seconds is not None and queries is not None:
            raise ValueError("give seconds or queries, not both")
        names = [algorithms] if isinstance(algorithms, str) else list(algorithms)
        rows: list[dict[str, Any]] = json.loads(self._table.simulate(names, dataset, seeds, seconds, queries))
        return rows

    def to_pandas(self, dataset: str = "cifar10", epochs: int = 200) -> Any:
        """Give the means of all cells as a frame.

        Parameters
        ----------
        dataset : str
            The data set.
        epochs : {12, 200}
            Length of the training.

        Returns
        -------
        pandas.DataFrame
            A row per cell, by index: `cell`, and what `query` gives.
        """
        import pandas

        columns: dict[str, Any] = {"cell": [self._table.cell(index) for index in range(len(self))]}
        for name, values in self._table.columns(dataset, epochs):
            columns[name] = pandas.array(values, dtype="Float64").to_numpy(float, na_value=float("nan"))
        return pandas.DataFrame(columns)

    # As in nats_bench.

    def query_index_by_arch(self, arch: Cell) -> int:
        """Find a cell, as `nats_bench` does: -1 if there is none.

        Parameters
        ----------
        arch : str
            The cell.

        Returns
        -------
        int
        """
        try:
            return self.index(arch)
        except ValueError:
            return -1

    def query_by_arch(self, arch: Cell, hp: Literal["12", "200"] = "12") -> str:
        """Describe a cell in text, as the benchmark's API does.

        Parameters
        ----------
        arch : str
            The cell.
        hp : {"12", "200"}
            Length of the training.

        Returns
        -------
        str
        """
        index = self.index(arch)
        lines = [self._table.cell(index), f"index {index}"]
        for result in self.results(index):
            if result["epochs"] == epochs_of(hp):
                values = ", ".join(f"{name} {value:.4f}" for name, value in result["values"].items())
                lines.append(f"{result['dataset']} : {values}")
        return "\n".join(lines)

    def get_more_info(
        self,
        index: Cell,
        dataset: str,
        iepoch: Optional[int] = None,
        hp: Literal["12", "200"] = "12",
        is_random: Union[bool, int] = True,
    ) -> dict[str, float]:
        """Look a training up, as `nats_bench` does.

        Parameters
        ----------
        index : int or str
            The cell.
        dataset : str
            The data set.
        iepoch : int, optional
            The epoch, from 0, where the table has learning curves. By default the last.
        hp : {"12", "200"}
            Length of the training.
        is_random : bool or int
            True for a run at random, False for the mean over the runs, a number for the run with this seed.

        Returns
        -------
        dict of float
            `train-loss`, `train-accuracy`, `test-accuracy`, `valid-accuracy`, `train-all-time`, `train-per-time` and so
            on, as far as the table has them.
        """
        at, epochs = self.index(index), epochs_of(hp)
        seed: Optional[int] = None
        if is_random is True:
            known = [seed for seed in self._table.seeds(at, dataset, epochs) if seed is not None]
            seed = random.choice(known) if known else None
        elif is_random is not False:
            seed = int(is_random)
        found = self._table.query(at, dataset, epochs, seed)
        info: dict[str, float] = {}
        for part in ("train", "valid", "test", "valid_test"):
            name = part.replace("valid_test", "valtest")
            for what in ("loss", "accuracy"):
                value = found.get(f"{part}_{what}")
                if iepoch is not None:
                    curve = self._table.curve(at, dataset, epochs, f"{part}_{what}", seed)
                    if curve is not None and not 0 <= iepoch < len(curve):
                        raise ValueError(f"epoch {iepoch}, the training has {len(curve)}")
                    value = None if curve is None else curve[iepoch]
                if value is not None:
                    info[f"{name}-{what}"] = value
        if iepoch is not None and not info:
            raise ValueError(f"the table has no learning curves of {dataset} after {epochs} epochs")
        if "train_seconds" in found:
            share = 1.0 if iepoch is None else (iepoch + 1) / epochs
            info["train-per-time"] = found["train_seconds"] / epochs
            info["train-all-time"] = found["train_seconds"] * share
        return info


def as_cell(cell: Cell) -> Union[int, str]:
    """A cell as the table takes it."""
    if isinstance(cell, str):
        return str(cell)
    if hasattr(cell, "__index__"):
        return int(cell.__index__())
    return str(getattr(cell, "genotype", None) or text_of(cell))


def epochs_of(hp: Union[str, int]) -> int:
    """The number of epochs that `nats_bench` calls `hp`."""
    if str(hp) not in LAST:
        raise ValueError(f"hp is 12 or 200, not {hp!r}")
    return LAST[str(hp)]


def query(table: Union[str, "PathLike[str]", Table], cell: Cell) -> Query:
    """Look all trainings of a cell up, in a table that is opened for that; `Table` is opened once.

    Parameters
    ----------
    table : path or Table
        The table.
    cell : int, str, Genotype or Search
        The cell.

    Returns
    -------
    dict
        `index` and `results`.
    """
    opened = table if isinstance(table, Table) else Table(table)
    return {"index": opened.index(cell), "results": opened.results(cell)}
