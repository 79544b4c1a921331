"""Runs as objects."""

import pathlib
import re
import subprocess
import sys
from typing import Any

import gdas
import numpy as np
import pytest
from conftest import SHORT, SMALL, arrays

HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> gdas.Search:
    return gdas.search(arrays(), run=tmp_path_factory.mktemp("runs") / "a", **SMALL)


@pytest.fixture(scope="module")
def network(found: gdas.Search) -> gdas.Network:
    return gdas.train(found, run=found.run.with_name("net"), **{**SHORT, "epochs": 2, "test_flip": False})


def test_a_search_shows_itself(found):
    assert found.finished and found.genotype == found["genotype"] and dict(found)["run"] == str(found.run)
    assert found.alpha.shape == (6, 5) and list(found.alphas) == ["cell"]
    # The log holds what the result holds, rounded.
    assert found.alpha == pytest.approx(np.array(found["alphas"][0]), abs=1e-6)
    history = found.history
    assert list(history["epoch"]) == [0, 1] and np.isfinite(np.asarray(history["train_loss"])).all()
    svg = found.cell._repr_svg_()
    assert svg.startswith("<svg") and svg.rstrip().endswith("</svg>") and "nor_conv" in svg + "nor_conv"
    assert repr(found) == f"<gdas.Search {str(found.run)!r}>"
    again = gdas.load(found.run)
    assert isinstance(again, gdas.Search) and again["digest"] == found["digest"]


def test_several_cells_are_drawn_below_each_other():
    genotype = gdas.Genotype("GDAS_V1")
    pictures = genotype.pictures()
    assert list(pictures) == ["normal", "reduction"] and genotype.space == "nasnet"
    whole = genotype.svg()
    assert whole.count("<svg") == 3 and all(f">{name} cell<" in whole for name in pictures)
    size = [[float(n) for n in re.findall(r'(?:width|height)="([\d.]+)', text)[:2]] for text in [*pictures.values(), whole]]
    assert size[2][1] == pytest.approx(size[0][1] + size[1][1])


def test_losses_are_drawn(found, network):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    for run in (found, network):
        axes = run.plot()
        assert len(axes) == 2 and len(axes[0].lines) >= 2


def test_a_network_classifies_arrays(network):
    x, y = arrays()
    rows = network.predict(x)
    assert rows.shape == (160, 2) and rows.sum(1) == pytest.approx(1, abs=1e-5)
    # Pixels in any form are the same pixels.
    assert (network.predict(x.transpose(0, 3, 1, 2) / np.float32(255)) == rows).all()
    answers = gdas.predict(network, x[:3])
    assert [a["probability"] for a in answers] == pytest.approx(rows[:3].max(1).tolist())
    assert network.shape == (12, 12, 3) and network.mean.shape == (3,)
    with pytest.raises(ValueError, match="takes 12x12"):
        network.predict(np.zeros((1, 16, 16, 1), np.uint8))
    with pytest.raises(ValueError, match="`last` or `best`"):
        network.predict(x, weights="first")


def test_a_torch_module_gives_the_same_outputs(network):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed, so nobody looks at to_torch()")
    x, y = arrays()
    module = network.to_torch()
    with torch.no_grad():
        logits = module(torch.from_numpy(network.preprocess(x)))
        pixels = network.to_torch(pixels=True)(torch.from_numpy(x).permute(0, 3, 1, 2))
    expected = network.predict(x, test_flip=False)
    assert torch.softmax(logits, 1).numpy() == pytest.approx(expected, abs=1e-5)
    assert pixels.numpy() == pytest.approx(logits.numpy(), abs=1e-5)
    assert not module.training and sum(p.numel() for p in module.parameters()) == network["params"]
    # It learns.
    module.train()
    optimiser = torch.optim.SGD(module.parameters(), lr=0.05, momentum=0.9)
    images, labels = torch.from_numpy(network.preprocess(x)), torch.from_numpy(y)
    losses = []
    for _ in range(8):
        loss = torch.nn.functional.cross_entropy(module(images), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 2, losses
    assert set(module.state_dict()) >= set(network.state_dict())


def test_without_torch_it_says_what_to_install(network, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match="pip install torch"):
        network.to_torch()


def test_progress_is_shown_unless_it_is_not_wanted(tmp_path):
    script = (
        "import sys, warnings; warnings.simplefilter('ignore')\n"
        "if sys.argv[1] == 'lines': sys.modules['tqdm.auto'] = None\n"
        "import gdas\n"
        "gdas.search(run=sys.argv[2], preset='smoke', epochs=2, max_steps_per_epoch=4, progress=sys.argv[1] != 'none')\n"
    )

    def error(how: str) -> str:
        command = [sys.executable, "-c", script, how, str(tmp_path / how)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout == "", done.stderr
        return done.stderr

    assert "search 2/2: loss" in error("lines")
    assert error("none") == ""
    pytest.importorskip("tqdm")
    assert "100%" in error("bar")


TYPED = """
import gdas
import numpy as np

found = gdas.search("digits", run="a", epochs=3, learning_rate=0.1, flip="auto", judges=["loss"])
genotype: str = found.genotype
network: gdas.Network = gdas.train(found, epochs=3)
accuracy: float = network.predict(np.zeros((1, 8, 8))).max()
"""


@pytest.mark.parametrize("tool", ["mypy", "pyright"])
def test_type_checkers_know_the_parameters(tool, tmp_path):
    if subprocess.run([sys.executable, "-m", tool, "--version"], capture_output=True).returncode != 0:
        pytest.skip(f"{tool} is not installed")

    def checked(text: str) -> "subprocess.CompletedProcess[str]":
        (tmp_path / "it.py").write_text(text)
        python = [f"--pythonpath={sys.executable}"] if tool == "pyright" else []
        command = [sys.executable, "-m", tool, *python, "it.py"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    good = checked(TYPED)
    assert good.returncode == 0, good.stdout
    for wrong in ["gdas.search(epohcs=3)", "gdas.search(epochs='3')", "gdas.train('GDAS_V1', flip='maybe')"]:
        bad = checked(TYPED + wrong)
        assert bad.returncode != 0 and "it.py:9" in bad.stdout.replace("it.py:10", "it.py:9"), bad.stdout


def test_both_project_files_describe_the_same_project():
    toml = pytest.importorskip("tomllib")
    files = [HERE.parent / "pyproject.toml", HERE.parents[2] / "pyproject.toml"]
    crate, root = (toml.loads(file.read_text(encoding="utf-8")) for file in files)
    assert crate["project"] == root["project"] and crate["build-system"] == root["build-system"]


def test_every_function_and_class_is_documented():
    wrong = []
    for name in gdas.__all__:
        thing: Any = getattr(gdas, name)
        members = [(name, thing)]
        if isinstance(thing, type):
            members += [(f"{name}.{key}", value) for key, value in vars(thing).items() if not key.startswith("_")]
        for key, value in members:
            text = getattr(value, "__doc__", None)
            if callable(value) and not isinstance(value, type) and "Returns\n" not in (text or ""):
                wrong.append(key)
            elif isinstance(value, (type, property)) and not text:
                wrong.append(key)
    assert not wrong
