"""Images in memory as a data set."""

from __future__ import annotations

import json
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Iterator, Mapping, Optional, Sequence, Union

import numpy as np

from . import _gdas
from ._pixels import Collector, is_picture, to_numpy

IN_MEMORY = "memory:"
"""What the program calls images in memory, before the name of the data set."""

PATHS = ("path", "file", "filename", "filepath", "file_name", "image", "image_path")
LABELS = ("label", "class", "target", "category", "y", "labels")


class Data:
    """Images and labels in memory, as a data set for `search`, `train`, `auto` and the others.

    Everything that the constructor takes as `train` can also be given to these functions directly.

    Parameters
    ----------
    train
        The training images, one of

        - a tuple `(images, labels)`. Images: an array `[n, height, width]`, `[n, height, width, channels]` or
          `[n, channels, height, width]` (NumPy or torch), a list of pictures of PIL's, or a list of paths. Pixels are
          `uint8`, or floats in 0..1 or whole in 0..255; other numbers are an error. Labels: numbers or names of classes;
        - a `torch.utils.data.Dataset` of images and labels, or a `DataLoader` that does not shuffle;
        - a pandas frame with a column of paths and one of labels.
    test
        The test images, in any of these forms. Without them a share `hold_out` of each class is held out.
    classes : sequence of str, optional
        Names of the classes that labels 0, 1, ... stand for. By default the labels themselves, sorted; of a torchvision
        data set its `classes`.
    name : str, optional
        What to call the data set.
    image_size : int, optional
        Height and width that pictures and files are brought to. By default files get the most common size among them;
        pictures and arrays must have one size.
    flip : bool, optional
        Whether images may be mirrored in training; not so for digits and letters.
    hold_out : float, optional
        Share of the training images that become test images where none are given.
    skip_damaged : bool, optional
        Whether files that cannot be used are left out, instead of being an error.

    Attributes
    ----------
    name : str
        Name of the data set.
    classes : list of str
        Names of the classes.
    shape : tuple of int
        Height, width and channels of the images.
    train, test : int
        Number of training and test images.

    Notes
    -----
    The pixels are copied once, into the data set. A run records a digest of them; going on with it needs the same images
    again: `gdas.resume(run, data=...)`.

    Examples
    --------
    >>> data = gdas.Data((x, y), test=(x_test, y_test), name="mine")      # doctest: +SKIP
    >>> gdas.search(data)                                                # doctest: +SKIP
    >>> gdas.search((x, y))                                              # doctest: +SKIP
    >>> gdas.search(torchvision.datasets.CIFAR10("data"))                # doctest: +SKIP
    """

    name: str
    classes: list[str]
    shape: tuple[int, int, int]
    train: int
    test: int

    def __init__(
        self,
        train: Any,
        test: Any = None,
        *,
        classes: Optional[Sequence[str]] = None,
        name: str = "images",
        image_size: Optional[int] = None,
        flip: bool = True,
        hold_out: float = 0.2,
        skip_damaged: bool = False,
    ) -> None:
        if not 0 <= hold_out < 1:
            raise ValueError(f"hold_out is a share in 0..1, not {hold_out}")
        files = [files_of(part) for part in (train, test)]
        if files[0] is not None:
            if test is not None and files[1] is None:
                raise ValueError("the training images are files, the test images are not; give both in one form")
            listed = [(p, str(label), False) for p, label in files[0]] + [(p, str(label), True) for p, label in files[1] or []]
            if classes is not None:
                listed = [(p, named_class(label, classes), is_test) for p, label, is_test in listed]
            self._dataset = _gdas.Dataset.from_files(name, listed, image_size, skip_damaged, hold_out, flip)
        else:
            if classes is None:
                classes = classes_of(train)
            images, labels = read(train, image_size)
            test_images, test_labels = (None, []) if test is None else read(test, image_size)
            names, numbers = numbered([labels, test_labels], classes)
            self._dataset = _gdas.Dataset.from_images(
                name, names, images, numbers[0], test_images, numbers[1], hold_out, flip
            )
        known = json.loads(self._dataset.describe())
        self.name, self.classes, self.shape = known["name"], known["classes"], tuple(known["shape"])
        self.train, self.test = known["train"], known["test"]

    @property
    def digest(self) -> str:
        """Digest of every pixel, label and class name: runs with the same digest worked on the same images."""
        return self._dataset.digest()

    def __len__(self) -> int:
        return self.train + self.test

    def __repr__(self) -> str:
        height, width, channels = self.shape
        images = f"{self.train} training and {self.test} test images of {height}x{width}x{channels}"
        return f"<gdas.Data {self.name!r}: {images}, {len(self.classes)} classes>"


def source(data: Any) -> tuple[str, Optional[_gdas.Dataset]]:
    """The word that the program knows the images by, and the images themselves if they are in memory."""
    if isinstance(data, (str, PathLike)):
        return fspath(data), None
    if not isinstance(data, Data):
        data = Data(**data) if isinstance(data, Mapping) else Data(data)
    return IN_MEMORY + data.name, data._dataset


def read(given: Any, image_size: Optional[int]) -> tuple[_gdas.Images, list[Any]]:
    """The images and labels of a part."""
    collector = Collector(image_size)
    labels: list[Any] = []
    if isinstance(given, (tuple, list)) and len(given) == 2:
        images, labels = given[0], label_list(given[1])
        add(collector, images)
    elif hasattr(given, "dataset") and hasattr(given, "batch_size"):  # a DataLoader
        if type(getattr(given, "sampler", None)).__name__ == "RandomSampler":
            raise ValueError("the DataLoader shuffles, so the images would be in another order each time; give its dataset")
        for images, some in given:
            add(collector, images)
            labels += label_list(some)
    elif hasattr(given, "__getitem__") and hasattr(given, "__len__") and not hasattr(given, "dtype"):

        def each() -> Iterator[Any]:
            for number in range(len(given)):
                image, label = given[number]
                labels.extend(label_list([label]))
                yield image

        collector.add_each(each())
    else:
        raise ValueError(
            f"{type(given).__name__} is no images with labels; give (images, labels), a torch Dataset, or a frame of paths "
            "and labels"
        )
    if image_size is not None and collector.shape[:2] != (image_size, image_size):
        height, width = collector.shape[:2]
        raise ValueError(f"arrays are not resized: they have {height}x{width} pixels, and image_size is {image_size}")
    if len(labels) != len(collector):
        raise ValueError(f"{len(labels)} labels for {len(collector)} images")
    return collector.finished(), labels


def add(collector: Collector, images: Any) -> None:
    """Adds images without labels: an array, or a list of pictures or arrays."""
    if isinstance(images, (list, tuple)):
        collector.add_each(images)
    elif is_picture(images):
        collector.add_each([images])
    else:
        collector.add(images)


def files_of(given: Any) -> Optional[list[tuple[str, Any]]]:
    """Paths and labels, if the images are files."""
    if hasattr(given, "columns") and hasattr(given, "iloc"):  # pandas
        columns = [column(given, names) for names in (PATHS, LABELS)]
        return list(zip([fspath(path) for path in columns[0]], columns[1]))
    if isinstance(given, (tuple, list)) and len(given) == 2 and not hasattr(given[0], "dtype"):
        paths = given[0]
        if hasattr(paths, "__len__") and len(paths) and isinstance(paths[0], (str, PathLike)):
            labels = label_list(given[1])
            if len(labels) != len(paths):
                raise ValueError(f"{len(labels)} labels for {len(paths)} files")
            return list(zip([fspath(path) for path in paths], labels))
    return None


def column(frame: Any, names: Sequence[str]) -> list[Any]:
    """The column of a frame that has one of these names."""
    for name in frame.columns:
        if str(name).lower() in names:
            return list(frame[name].tolist())
    raise ValueError(f"the frame has no column `{names[0]}`; its columns are {', '.join(map(str, frame.columns))}")


def classes_of(given: Any) -> Optional[list[str]]:
    """Names of the classes, if the data set says them."""
    inner = getattr(given, "dataset", given)
    classes = getattr(inner, "classes", None)
    return [str(name) for name in classes] if isinstance(classes, (list, tuple)) else None


def label_list(labels: Any) -> list[Any]:
    """Labels as Python's numbers or texts."""
    array = to_numpy(labels)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(f"labels of shape {list(array.shape)}; one number or name per image is needed")
    if np.issubdtype(array.dtype, np.floating):
        if not (array == np.round(array)).all():
            raise ValueError("labels are whole numbers or names of classes")
        array = array.astype(np.int64)
    if array.dtype == np.bool_:
        array = array.astype(np.int64)
    values: list[Any] = array.tolist()
    for value in values:
        if not isinstance(value, (int, str)):
            raise ValueError(f"a label is {value!r}; labels are whole numbers or names of classes")
    return values


def numbered(parts: list[list[Any]], classes: Optional[Sequence[str]]) -> tuple[list[str], list[list[int]]]:
    """Names of the classes, and the labels of each part as indices into them."""
    values = {label for labels in parts for label in labels}
    if len({isinstance(value, str) for value in values}) > 1:
        raise ValueError("some labels are numbers and some are names")
    if classes is None:
        order = sorted(values)
        index = {value: number for number, value in enumerate(order)}
        names = [str(value) for value in order]
    else:
        names = [str(name) for name in classes]
        index = {value: number for number, value in enumerate(names)}
        index.update({number: number for number in range(len(names))})
    unknown = sorted((value for value in values if value not in index), key=str)
    if unknown:
        raise ValueError(f"label {unknown[0]!r} is none of the {len(names)} classes ({', '.join(names[:8])})")
    return names, [[index[label] for label in labels] for labels in parts]


def named_class(label: str, classes: Sequence[str]) -> str:
    """The class of a file's label, which may be its number."""
    if label in classes:
        return label
    if label.isdigit() and int(label) < len(classes):
        return classes[int(label)]
    raise ValueError(f"label {label!r} is none of the {len(classes)} classes ({', '.join(classes[:8])})")


def is_files(images: Any) -> bool:
    """Whether images to predict are files rather than arrays."""
    if isinstance(images, (str, PathLike)):
        return True
    return isinstance(images, (list, tuple)) and bool(images) and all(isinstance(i, (str, PathLike)) for i in images)


def words(given: Union[str, "PathLike[str]", Sequence[Any]]) -> list[str]:
    """One path or several as a list of words."""
    several = isinstance(given, (list, tuple)) and not isinstance(given, (str, Path))
    return [fspath(path) for path in given] if several else [fspath(given)]  # type: ignore[union-attr,arg-type]
