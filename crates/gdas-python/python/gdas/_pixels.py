"""Images of any form as bytes `[n, height, width, channels]`."""

from __future__ import annotations

from typing import Any, Iterable, Optional

import numpy as np

from . import _gdas

CHUNK = 2048
"""Images that are converted at a time."""

LAYOUTS = "[n, height, width], [n, height, width, channels] or [n, channels, height, width]"


def to_numpy(array: Any) -> "np.ndarray[Any, Any]":
    """An array of NumPy's, whatever library it is of."""
    if hasattr(array, "detach"):  # torch
        array = array.detach().cpu()
    return np.asarray(array)


def is_picture(image: Any) -> bool:
    """Whether this is an image of PIL's."""
    return hasattr(image, "convert") and hasattr(image, "mode")


class Range:
    """Which numbers the pixels are: bytes, or fractions of one. The first images decide, all others must agree."""

    def __init__(self) -> None:
        self.fractions: Optional[bool] = None

    def to_bytes(self, array: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        """The pixels as `uint8`."""
        if array.dtype == np.uint8:
            return array
        if array.dtype == np.bool_:
            return array.astype(np.uint8) * np.uint8(255)
        if array.size == 0:
            return array.astype(np.uint8)
        low, high = float(array.min()), float(array.max())
        if np.issubdtype(array.dtype, np.integer):
            if low < 0 or high > 255:
                raise ValueError(f"pixels of type {array.dtype} range from {low:g} to {high:g}; give them in 0..255")
            return array.astype(np.uint8)
        if not np.issubdtype(array.dtype, np.floating):
            raise ValueError(f"pixels of type {array.dtype}; give uint8, or floats in 0..1")
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ValueError("some pixels are not finite")
        whole = 0 <= low and high <= 255 and bool((array == np.round(array)).all())
        fractions = 0 <= low and high <= 1 and self.fractions is not False
        if self.fractions is None and (fractions or whole):
            self.fractions = fractions
        if self.fractions and fractions:
            return np.round(array * 255).astype(np.uint8)
        if self.fractions is False and whole:
            return array.astype(np.uint8)
        raise ValueError(
            f"pixels of type {array.dtype} range from {low:g} to {high:g}, so what they mean is not clear; give uint8, or "
            "floats in 0..1. Images that were normalised have to be taken back: x * std + mean"
        )


def channels_last(array: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """The images as `[n, height, width, channels]`. Images have 8 pixels in each direction or more, so that axes of 1 or
    3 are channels."""
    if array.ndim == 3:
        return array[..., None]
    if array.ndim == 4 and array.shape[1] in (1, 3):
        return array.transpose(0, 2, 3, 1)
    if array.ndim == 4 and array.shape[3] in (1, 3):
        return array
    raise ValueError(f"images of shape {list(array.shape)}; give {LAYOUTS} with 1 or 3 channels")


class Collector:
    """Images of one size, handed over piece by piece."""

    def __init__(self, image_size: Optional[int] = None) -> None:
        self.range = Range()
        self.images: Optional[_gdas.Images] = None
        self.shape: tuple[int, ...] = ()
        self.size = image_size

    def __len__(self) -> int:
        return 0 if self.images is None else len(self.images)

    def finished(self) -> _gdas.Images:
        """The images."""
        if self.images is None:
            raise ValueError("there are no images")
        return self.images

    def add(self, batch: Any) -> None:
        """Adds an array of images."""
        array = channels_last(to_numpy(batch))
        if self.range.fractions is None and np.issubdtype(array.dtype, np.floating):
            self.range.to_bytes(array)  # The whole array decides what its numbers are.
        for start in range(0, len(array), CHUNK):
            self._put(np.ascontiguousarray(self.range.to_bytes(array[start : start + CHUNK])))

    def add_each(self, images: Iterable[Any]) -> None:
        """Adds images one by one: pictures of PIL's, or arrays of one image."""
        mode = "L"
        if isinstance(images, (list, tuple)) and any(is_picture(i) and i.mode not in ("L", "1") for i in images):
            mode = "RGB"
        for number, image in enumerate(images):
            if is_picture(image):
                if self.images is not None:
                    mode = "L" if self.shape[2] == 1 else "RGB"
                elif image.mode not in ("L", "1"):
                    mode = "RGB"
                if mode == "L" and image.mode not in ("L", "1"):
                    raise ValueError(f"image {number} has colours, those before have none; convert them to one mode")
                image = image.convert(mode)
                if self.size is not None and image.size != (self.size, self.size):
                    image = image.resize((self.size, self.size), resample=2)  # bilinear
                image = np.asarray(image)
            array = to_numpy(image)
            array = channels_last(array[None])
            if self.images is not None and array.shape[1:] != self.shape:
                sizes = ["x".join(map(str, shape)) for shape in (array.shape[1:], self.shape)]
                raise ValueError(
                    f"image {number} is {sizes[0]}, those before are {sizes[1]}; bring them to one size (image_size does, "
                    "for pictures of PIL's)"
                )
            self._put(np.ascontiguousarray(self.range.to_bytes(array)))

    def _put(self, array: "np.ndarray[Any, Any]") -> None:
        if self.images is None:
            self.shape = array.shape[1:]
            height, width, channels = self.shape
            self.images = _gdas.Images(height, width, channels)
        if array.shape[1:] != self.shape:
            raise ValueError(f"images of shape {list(array.shape[1:])}, those before have {list(self.shape)}")
        self.images.append(array.tobytes())
