"""Images in memory."""

import subprocess
import sys
from typing import Any

import gdas
import numpy as np
import pytest
from conftest import SHORT, SMALL, arrays, png


def test_all_forms_of_the_same_images_are_the_same_data():
    x, y = arrays()
    known = gdas.Data((x, y))
    assert (known.shape, known.classes, known.train, known.test) == ((12, 12, 3), ["0", "1"], 128, 32)
    for same in [
        (x.transpose(0, 3, 1, 2), y),
        (x.astype(np.int64), list(y)),
        (x.astype(np.float64), y.astype(np.uint8)),
        (x.astype(np.float32) / 255, y[:, None]),
        [list(x), y.tolist()],
    ]:
        assert gdas.Data(same).digest == known.digest
    grey = gdas.Data((x[..., 0], y))
    assert grey.shape == (12, 12, 1) and gdas.Data((x[..., :1], y)).digest == grey.digest
    # The test images are given, and the classes have names.
    named = gdas.Data((x, y), test=(x[:8], y[:8]), classes=["dark", "light"], name="mine")
    assert (named.train, named.test, named.classes) == (160, 8, ["dark", "light"]) and "mine" in repr(named)
    assert gdas.Data((x, np.array(["dark", "light"])[y]), hold_out=0).classes == ["dark", "light"]
    # Labels of any numbers.
    assert gdas.Data((x, 7 - 4 * y)).classes == ["3", "7"]


def test_pictures_and_frames_of_paths(tmp_path):
    image = pytest.importorskip("PIL.Image")
    pandas = pytest.importorskip("pandas")
    x, y = arrays()
    known = gdas.Data((x, y))
    assert gdas.Data(([image.fromarray(pixels) for pixels in x], y)).digest == known.digest
    small = gdas.Data(([image.fromarray(pixels) for pixels in x], y), image_size=10)
    assert small.shape == (10, 10, 3)
    grey = [image.fromarray(pixels[..., 0]) for pixels in x]
    assert gdas.Data((grey, y)).digest == gdas.Data((x[..., 0], y)).digest
    with pytest.raises(ValueError, match="image 1 is 9x9x3, those before are 12x12x3"):
        gdas.Data(([image.fromarray(x[0]), image.fromarray(x[1]).resize((9, 9))], y[:2]))
    for number in range(len(x)):
        (tmp_path / f"{number}.png").write_bytes(png(12, x[number, ..., 0].reshape(-1)))
    frame = pandas.DataFrame({"label": y, "path": [tmp_path / f"{number}.png" for number in range(len(x))]})
    of_files = gdas.Data(frame, name="frame")
    assert (of_files.shape, of_files.classes, of_files.train) == ((12, 12, 1), ["0", "1"], 128)
    assert gdas.Data((list(frame["path"]), y)).digest == of_files.digest
    assert gdas.Data(frame, test=frame[:4], classes=["dark", "light"]).test == 4
    with pytest.raises(ValueError, match="no column `label`.*kind, path"):
        gdas.Data(frame.rename(columns={"label": "kind"}))
    (tmp_path / "3.png").unlink()
    with pytest.raises(gdas.GdasError, match="3.png"):
        gdas.Data(frame)
    assert gdas.Data(frame, skip_damaged=True).train + gdas.Data(frame, skip_damaged=True).test == 159


class Images:
    """As a data set of torch's: images and labels by number."""

    def __init__(self, x: Any, y: Any) -> None:
        self.x, self.y, self.classes = x, y, ["dark", "light"]

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, number: int) -> tuple[Any, int]:
        return self.x[number], int(self.y[number])


def test_data_sets_by_number_and_by_batch():
    x, y = arrays()
    known = gdas.Data((x, y), classes=["dark", "light"])
    assert gdas.Data(Images(x.transpose(0, 3, 1, 2) / np.float32(255), y)).digest == known.digest
    torch = pytest.importorskip("torch")
    tensors = torch.utils.data.TensorDataset(torch.from_numpy(x).permute(0, 3, 1, 2) / 255, torch.from_numpy(y))
    assert gdas.Data(tensors, classes=["dark", "light"]).digest == known.digest
    loader = torch.utils.data.DataLoader(tensors, batch_size=7)
    assert gdas.Data(loader, classes=["dark", "light"]).digest == known.digest
    assert gdas.Data((torch.from_numpy(x), torch.from_numpy(y)), classes=["dark", "light"]).digest == known.digest
    with pytest.raises(ValueError, match="shuffles"):
        gdas.Data(torch.utils.data.DataLoader(tensors, batch_size=7, shuffle=True))


@pytest.mark.parametrize(
    "wrong, message",
    [
        (lambda x, y: ((x - 127.5) / 60, y), "range from .* not clear"),
        (lambda x, y: (x.astype(np.int16) * 2, y), "0..255"),
        (lambda x, y: (np.where(x > 90, np.nan, x), y), "not finite"),
        (lambda x, y: (x[..., :2], y), "1 or 3 channels"),
        (lambda x, y: (x, y[:-1]), "159 labels for 160 images"),
        (lambda x, y: (x, np.eye(2)[y]), "labels of shape"),
        (lambda x, y: (x, y + 0.5), "whole numbers"),
        (lambda x, y: (x, 0 * y), "at least two"),
        (lambda x, y: (x[:, :4, :4], y), "4x4"),
        (lambda x, y: 7, "int is no images with labels"),
        (lambda x, y: (x[:0], y[:0]), "no images"),
    ],
)
def test_what_is_no_images_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        gdas.Data(wrong(*arrays()))
    x, y = arrays()
    with pytest.raises(ValueError, match="label 1 is none of the 1 classes"):
        gdas.Data((x, y), classes=["alone"])
    with pytest.raises(ValueError, match="not resized"):
        gdas.Data((x, y), image_size=16)


def test_images_in_memory_are_searched_trained_on_and_resumed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = gdas.Data(arrays(), name="mine")
    found = gdas.search(data, **SMALL)
    assert found.run.name == "mine-1" and found["data"] == "mine"
    # The same from a tuple, and by a dictionary.
    assert gdas.search(arrays(), run="b", **SMALL)["digest"] == found["digest"]
    as_dict = {"train": arrays(), "name": "mine"}
    assert gdas.search(as_dict, run="c", threads=1, **SMALL)["digest"] == found["digest"]
    network = gdas.train(found, run="net", **SHORT)
    assert network["data"] == "mine" and network["classes"] == ["0", "1"]
    assert network.evaluate()["accuracy"] == pytest.approx(network["test_accuracy"])
    assert network.evaluate(arrays())["images"] == 32
    assert gdas.score(found, data, proxy=["naswot"], channels=4, cells=1)[0]["scores"]["naswot"]

    # Stopped, it needs the images again, and those images.
    stopped = gdas.search(data, run="cut", on_epoch=lambda event: False, **SMALL)
    assert not stopped.finished
    with pytest.raises(gdas.GdasError, match="handed over by a program .`mine`."):
        gdas.resume("cut", progress=False)
    x, y = arrays()
    with pytest.raises(gdas.GdasError, match="began with"):
        gdas.resume("cut", (255 - x, y), progress=False)
    assert gdas.resume("cut", data, progress=False)["digest"] == found["digest"]
    # So does what was loaded from its directory.
    with pytest.raises(gdas.GdasError, match="handed over by a program"):
        gdas.train(gdas.load("mine-1"), run="d", **SHORT)
    assert gdas.train(gdas.load("mine-1", data), run="e", **SHORT)["digest"] == network["digest"]
    command = [sys.executable, "-m", "gdas", "resume", "cut2"]
    gdas.search(data, run="cut2", on_epoch=lambda event: False, **SMALL)
    told = subprocess.run(command, capture_output=True, text=True)
    assert told.returncode == 1 and "handed over by a program" in told.stderr


def test_an_automatic_run_on_images_in_memory(tmp_path):
    made = gdas.auto(arrays(), run=tmp_path / "a", budget="10s", progress=False)
    assert made.network.classes == ["0", "1"]
