"""Networks as PyTorch modules."""

from __future__ import annotations

import json
import linecache
import types
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

if TYPE_CHECKING:
    import torch

    Array = np.ndarray[Any, np.dtype[np.float32]]


def arrays_of(file: bytes) -> dict[str, "Array"]:
    """The arrays of a safetensors file."""
    length = int.from_bytes(file[:8], "little")
    head = json.loads(file[8 : 8 + length])
    arrays: dict[str, Array] = {}
    for name, known in head.items():
        if name != "__metadata__":
            start, end = (8 + length + offset for offset in known["data_offsets"])
            arrays[name] = np.frombuffer(file[start:end], dtype="<f4").reshape(known["shape"]).copy()
    return arrays


def module(
    source: str, arrays: dict[str, "Array"], normalise: Optional[tuple["Array", "Array"]], name: str
) -> "torch.nn.Module":
    """The module of this source with these weights. With `normalise`, mean and deviation, it takes pixels."""
    try:
        import torch
    except ImportError as error:
        raise ImportError("to_torch() makes a PyTorch module: pip install torch") from error
    made = types.ModuleType("gdas_network")
    made.__file__ = f"<network of {name}>"
    # For tracebacks, and for tools that look at the source.
    linecache.cache[made.__file__] = (len(source), None, source.splitlines(True), made.__file__)
    exec(compile(source, made.__file__, "exec"), made.__dict__)
    network: torch.nn.Module = made.Network()
    state = {key: torch.from_numpy(array) for key, array in arrays.items()}
    missing, unexpected = network.load_state_dict(state, strict=False)
    # PyTorch counts the batches of every normalisation; nothing reads that count here.
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ValueError(f"weights of another network: missing {missing}, unexpected {unexpected}")
    if normalise is None:
        return network.eval()

    class Pixels(torch.nn.Module):  # type: ignore[misc,unused-ignore]
        """Normalises pixels in 0..255, then runs the network."""

        def __init__(self, mean: torch.Tensor, std: torch.Tensor) -> None:
            super().__init__()
            self.register_buffer("mean", mean.reshape(1, -1, 1, 1))
            self.register_buffer("std", std.reshape(1, -1, 1, 1))
            self.network = network

        def forward(self, pixels: torch.Tensor) -> Any:
            return self.network((pixels.to(self.mean.dtype) - self.mean) / self.std)

    return Pixels(*(torch.from_numpy(np.array(numbers)) for numbers in normalise)).eval()
