"""Types of what goes in and out, for annotations: results are plain dictionaries."""

from os import PathLike
from typing import Any, Callable, Optional, TypedDict, Union


class Choice(TypedDict):
    operation: str
    input: int


class Cell(TypedDict):
    name: str
    nodes: list[list[Choice]]


class GenotypeInfo(TypedDict):
    text: str
    space: str
    cells: list[Cell]
    parameter_free: float


class SearchResult(TypedDict):
    run: str
    space: str
    data: str
    seed: int
    epochs: int
    genotype: str
    held_out_accuracy: float
    best_genotype: Optional[str]
    best_epoch: Optional[int]
    best_accuracy: Optional[float]
    params: int
    multiply_adds: int
    parameter_free: float
    alphas: list[list[list[float]]]
    undrawn: str
    digest: str


class TrainResult(TypedDict):
    run: str
    space: str
    genotype: str
    data: str
    classes: list[str]
    seed: int
    epochs: int
    test_accuracy: Optional[float]
    test_top5: Optional[float]
    test_loss: Optional[float]
    validation_accuracy: Optional[float]
    validation_loss: Optional[float]
    chosen_epoch: Optional[int]
    params: int
    multiply_adds: int
    digest: str


class TableResult(TypedDict):
    dataset: str
    epochs: int
    values: dict[str, float]


class Query(TypedDict):
    index: int
    results: list[TableResult]


Path = Union[str, PathLike[str]]
Key = Union[str, int, float, bool, list[float], None]
OnEvent = Optional[Callable[[dict[str, Any]], object]]
