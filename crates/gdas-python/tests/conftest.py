"""What the tests share."""

import pathlib
import struct
import warnings
import zlib
from typing import Any

import numpy as np
import pytest

SMALL: dict[str, Any] = {"preset": "smoke", "epochs": 2, "max_steps_per_epoch": 4, "seed": 3, "progress": False}
"""A search of a moment."""

SHORT: dict[str, Any] = {"preset": "smoke", "epochs": 1, "max_steps_per_epoch": 4, "progress": False}
"""A training of a moment."""


def png(size: int, pixels: Any) -> bytes:
    """A grey image."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    rows = b"".join(b"\0" + bytes(pixels[row * size : (row + 1) * size]) for row in range(size))
    head = struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def arrays(count: int = 160, channels: int = 3, classes: int = 2) -> tuple[Any, Any]:
    """Images `[n, 12, 12, channels]` whose brightness says their class."""
    random = np.random.default_rng(0)
    labels = np.arange(count) % classes
    pixels = random.integers(0, 100, (count, 12, 12, channels)) + (150 // classes * labels)[:, None, None, None]
    return pixels.astype(np.uint8), labels


@pytest.fixture(autouse=True)
def quiet() -> Any:
    """Small data sets are warned about, which is no news here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning)
        yield


@pytest.fixture(scope="session")
def table_path() -> pathlib.Path:
    """The benchmark's table, which is not part of the project."""
    path = pathlib.Path(__file__).parents[3] / ".." / "shared" / "data" / "nasbench201.csv"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    return path
