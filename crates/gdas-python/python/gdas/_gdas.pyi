from os import PathLike
from typing import Any, Callable, Optional, Union

__all__ = ["__version__", "GdasError", "genotype", "query", "resume", "search", "train"]

__version__: str

class GdasError(RuntimeError): ...

def search(
    keys: str, run: Union[str, PathLike[str]], on_event: Optional[Callable[[dict[str, Any]], object]]
) -> str: ...
def train(
    keys: str,
    run: Union[str, PathLike[str]],
    data_of: Optional[Union[str, PathLike[str]]],
    on_event: Optional[Callable[[dict[str, Any]], object]],
) -> str: ...
def resume(
    run: Union[str, PathLike[str]], data: Optional[str], on_event: Optional[Callable[[dict[str, Any]], object]]
) -> str: ...
def query(table: Union[str, PathLike[str]], cell: str) -> str: ...
def genotype(text: str) -> str: ...
