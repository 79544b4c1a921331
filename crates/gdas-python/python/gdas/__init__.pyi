from typing import Optional, Union

from . import types as types
from ._gdas import GdasError as GdasError, __version__ as __version__
from .types import GenotypeInfo, Key, OnEvent, Path, Query, SearchResult, TrainResult

__all__ = ["GdasError", "__version__", "genotype", "query", "resume", "search", "train", "types"]

def search(data: Path = "digits", *, run: Path, on_event: OnEvent = None, **keys: Key) -> SearchResult: ...
def train(
    genotype: Union[str, GenotypeInfo, SearchResult, TrainResult],
    data: Optional[Path] = None,
    *,
    run: Path,
    on_event: OnEvent = None,
    **keys: Key,
) -> TrainResult: ...
def resume(run: Path, *, data: Optional[Path] = None, on_event: OnEvent = None) -> Union[SearchResult, TrainResult]: ...
def query(table: Path, cell: str) -> Query: ...
def genotype(text: str) -> GenotypeInfo: ...
