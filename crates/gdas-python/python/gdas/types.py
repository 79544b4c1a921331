"""Types of what goes in and out, for annotations."""

from __future__ import annotations

from os import PathLike as _PathLike
from typing import TYPE_CHECKING, Any, Callable, Literal, Mapping, Optional, Sequence, TypedDict, Union

if TYPE_CHECKING:
    from ._data import Data
    from ._genotype import Genotype
    from ._results import Result


class Choice(TypedDict):
    """An operation of a cell, and the state that it reads."""

    operation: str
    input: int


class Cell(TypedDict):
    """A cell: per node the operations that are added up."""

    name: str
    nodes: list[list[Choice]]


class GenotypeInfo(TypedDict):
    """A genotype, read."""

    text: str
    space: str
    cells: list[Cell]
    parameter_free: float


class TableResult(TypedDict):
    """What a table knows of a cell's training on one data set."""

    dataset: str
    epochs: int
    values: dict[str, float]


class Query(TypedDict):
    """What a table knows of a cell."""

    index: int
    results: list[TableResult]


PathLike = Union[str, "_PathLike[str]"]
"""A path."""

RunLike = Union[PathLike, "Result"]
"""A run: its result, its directory, or its name in `runs/`."""

GenotypeLike = Union[str, "_PathLike[str]", "Genotype", "Result", GenotypeInfo, Mapping[str, Any]]
"""A genotype, or what has one."""

SpaceLike = Union[PathLike, Mapping[str, Any]]
"""A search space: a name, a TOML file, the text of one, or the same as a dictionary."""

DataLike = Union[PathLike, "Data", Mapping[str, Any], Sequence[Any], Any]
"""Images: a name, a path, or images in memory; see `gdas.Data`."""

OnEvent = Optional[Callable[[dict[str, Any]], object]]
"""Called with an event; `False` stops the run."""

Judge = Callable[["Genotype"], float]
"""Scores a genotype; larger is better."""

Seed = Union[int, Literal["mean"]]
"""A run of the benchmark, or the mean over all."""
