"""Genotypes: cells as text that can draw themselves."""

from __future__ import annotations

import json
import re
from os import PathLike
from typing import Any, Mapping, Optional, Union, cast

from . import _gdas
from .types import Cell, GenotypeInfo


class Genotype(str):
    """The cells of a network.

    It is the text of the genotype, in the form of its search space, and draws itself in a notebook.

    Parameters
    ----------
    text : str
        The text in any known form (that of NAS-Bench-201, DARTS, AutoDL, JSON), or a published name: `GDAS_V1`,
        `DARTS_V1`, `DARTS_V2`.
    run : path, optional
        The run that found it, where its search space is not a built-in one.

    Attributes
    ----------
    space : str
        Name of the search space.
    cells : list of dict
        Per cell its name and its nodes; per node the operations that are added up, each with the state it reads.
    parameter_free : float
        Share of the edges without parameters (skip connections, pools, none).

    Examples
    --------
    >>> gdas.Genotype("GDAS_V1").space
    'nasnet'
    """

    space: str
    cells: list[Cell]
    parameter_free: float
    _run: Optional[Union[str, "PathLike[str]"]]

    def __new__(cls, text: str, run: Optional[Union[str, "PathLike[str]"]] = None) -> "Genotype":
        known = json.loads(_gdas.genotype(text, run))
        made = super().__new__(cls, known["text"])
        made.space, made.cells, made.parameter_free = known["space"], known["cells"], known["parameter_free"]
        made._run = run
        return made

    def pictures(self) -> dict[str, str]:
        """Draw every cell.

        Returns
        -------
        dict of str
            SVG by the name of the cell.
        """
        return dict(_gdas.pictures(str(self), self._run))

    def svg(self) -> str:
        """Draw all cells into one picture.

        Returns
        -------
        str
            SVG.
        """
        return _stacked(list(self.pictures().values()))

    def _repr_svg_(self) -> str:
        return self.svg()


def genotype(text: str) -> GenotypeInfo:
    """Read a genotype.

    Parameters
    ----------
    text : str
        The text in any known form (also those of DARTS and AutoDL, and JSON), or a published name such as `GDAS_V1`.

    Returns
    -------
    dict
        `text`, `space`, `cells` and `parameter_free`; `gdas.Genotype` has the same as attributes.
    """
    return cast(GenotypeInfo, json.loads(_gdas.genotype(text)))


def text_of(given: Any) -> str:
    """The word that the program takes for a genotype: text, file, published name or run."""
    if isinstance(given, str):
        return str(given)
    run = getattr(given, "run", None)
    if run is not None:
        return str(run)
    if isinstance(given, PathLike):
        return str(given)
    if isinstance(given, Mapping):
        for key in ("run", "genotype", "text"):
            if isinstance(given.get(key), str):
                return str(given[key])
    raise ValueError(f"{type(given).__name__} is no genotype: give its text, a published name, a file or a run")


def _stacked(pictures: list[str]) -> str:
    """Pictures one below the other."""
    if len(pictures) == 1:
        return pictures[0]
    height, width, parts = 0.0, 0.0, []
    for picture in pictures:
        head = picture[: picture.index(">")]
        found = {name: float(value) for name, value in re.findall(r'\b(width|height)="([\d.]+)', head)}
        parts.append(picture.replace("<svg", f'<svg y="{height:g}"', 1))
        height, width = height + found.get("height", 0.0), max(width, found.get("width", 0.0))
    size = f'width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{"".join(parts)}</svg>'
