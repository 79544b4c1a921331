"""Neural architecture search by gradient descent (GDAS).

>>> import gdas
>>> gdas.genotype("GDAS_V1")["space"]
'nasnet'

A search or a training works in a run directory, as those of the command `gdas` do: either can go on with what the
other began. Ctrl-C stops it at the next step with everything saved; `resume` goes on to the same bits.
"""

import json as _json
import os as _os

from . import _gdas, types
from ._gdas import GdasError, __version__

__all__ = ["GdasError", "__version__", "genotype", "query", "resume", "search", "train", "types"]


def _dumped(keys):
    return _json.dumps({key: value for key, value in keys.items() if value is not None})


def search(data="digits", *, run, on_event=None, **keys):
    """Searches in the new directory `run`; keys are those of the configuration (`gdas search --print-config`)."""
    return _json.loads(_gdas.search(_dumped({"data": _os.fspath(data), **keys}), _os.fspath(run), on_event))


def train(genotype, data=None, *, run, on_event=None, **keys):
    """Trains the network of a genotype (text, published name, or a run's result) from scratch.

    Without `data`, a run's result is trained on the data of that run, and a genotype on the digits.
    """
    result = genotype if isinstance(genotype, dict) else {}
    text = result.get("genotype", result.get("text", genotype))
    known = _json.loads(_gdas.genotype(_json.dumps(text) if isinstance(text, dict) else text))
    data_of = result.get("run") if data is None else None
    if data is None and data_of is None:
        data = result.get("data", "digits")
    keys = {
        "data": None if data is None else _os.fspath(data),
        "genotype": known["text"],
        "space": known["space"],
        **keys,
    }
    return _json.loads(_gdas.train(_dumped(keys), _os.fspath(run), data_of, on_event))


def resume(run, *, data=None, on_event=None):
    """Goes on with a run that was stopped; the result of a finished one is given again.

    `data` is the path of its images, if they lie elsewhere now; other images than those it began with are refused.
    """
    data = None if data is None else _os.fspath(data)
    return _json.loads(_gdas.resume(_os.fspath(run), data, on_event))


def query(table, cell):
    """What a table of NAS-Bench-201 (a file that `gdas bench` reads) knows of a cell."""
    return _json.loads(_gdas.query(_os.fspath(table), cell))


def genotype(text):
    """Reads a genotype: text (also that of DARTS and AutoDL), JSON, or a published name such as GDAS_V1."""
    return _json.loads(_gdas.genotype(text))
