"""Neural architecture search by gradient descent (GDAS).

>>> import gdas
>>> found = gdas.search("digits", epochs=5)          # doctest: +SKIP
>>> network = gdas.train(found)                      # doctest: +SKIP
>>> network.predict(images)                          # doctest: +SKIP

A search or a training works in a run directory, as those of the command `gdas` do: either can go on with what the
other began. Ctrl-C stops it at the next step with everything saved; `resume` goes on to the same bits.
"""

from . import types
from ._commands import auto, cost, evaluate, export, predict, report, resume, score, search, train
from ._data import Data
from ._gdas import GdasError, __version__
from ._genotype import Genotype, genotype
from ._results import Auto, Network, Result, Search, load
from ._table import Table, query

__all__ = [
    "Auto",
    "Data",
    "GdasError",
    "Genotype",
    "Network",
    "Result",
    "Search",
    "Table",
    "__version__",
    "auto",
    "cost",
    "evaluate",
    "export",
    "genotype",
    "load",
    "predict",
    "query",
    "report",
    "resume",
    "score",
    "search",
    "train",
    "types",
]
