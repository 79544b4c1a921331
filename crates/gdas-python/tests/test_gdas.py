"""Runs, with the installed wheel: python -m pytest crates/gdas-python/tests."""

import json
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import gdas
import pytest
from conftest import SHORT, SMALL, png

def test_genotypes_are_read():
    known = gdas.genotype("GDAS_V1")
    assert known["space"] == "nasnet" and [cell["name"] for cell in known["cells"]] == ["normal", "reduction"]
    with pytest.raises(ValueError, match="unknown operation `conv`"):
        gdas.genotype("|conv~0|")
    assert gdas.genotype(json.dumps(known)) == known


def test_a_search_is_repeatable_and_its_cell_is_trained(tmp_path):
    events: list[dict[str, Any]] = []
    found = gdas.search(run=tmp_path / "a", on_event=events.append, **SMALL)
    assert gdas.search(run=tmp_path / "b", threads=1, **SMALL)["digest"] == found["digest"]
    assert [event["event"] for event in events].count("epoch") == 2
    assert gdas.resume(tmp_path / "a")["digest"] == found["digest"]
    trained = gdas.train(found, run=tmp_path / "net", **SHORT)
    assert trained["genotype"] == found["genotype"] and 0 <= (trained["test_accuracy"] or 0) <= 1


def test_a_search_result_is_trained_on_the_data_of_the_search(tmp_path):
    for number in range(160):
        folder = tmp_path / "photos" / ("light" if number % 2 else "dark")
        folder.mkdir(parents=True, exist_ok=True)
        pixels = [(number % 2) * 120 + (7 * x + number) % 100 for x in range(144)]
        (folder / f"{number}.png").write_bytes(png(12, pixels))
    found = gdas.search(tmp_path / "photos", run=tmp_path / "a", **SMALL)
    trained = gdas.train(found, run=tmp_path / "b", **SHORT)
    assert trained["data"] == found["data"] == "photos" and len(trained["classes"]) == 2
    # So is the result of that training; what is said of the data wins.
    assert len(gdas.train(trained, run=tmp_path / "c", **SHORT)["classes"]) == 2
    assert gdas.train(found, "digits", run=tmp_path / "d", **SHORT)["data"] == "digits"
    # A result whose run is gone does not fall back to other images.
    with pytest.raises(gdas.GdasError, match="neither a run"):
        gdas.train({**found, "run": str(tmp_path / "gone")}, run=tmp_path / "e", **SHORT)
    assert not (tmp_path / "e").exists()


def test_a_device_is_used_or_refused(tmp_path):
    with pytest.raises(ValueError, match="cannot use the device `cuda`"):
        gdas.search(run=tmp_path / "a", device="cuda", **SMALL)
    with pytest.raises(ValueError, match="cannot use the device `vulkan`"):
        gdas.train("GDAS_V1", run=tmp_path / "a", device="vulkan", preset="smoke")
    with pytest.raises(ValueError, match="cannot store values as float16"):
        gdas.search(run=tmp_path / "a", precision="float16", **SMALL)
    with pytest.raises(ValueError):
        gdas.search(run=tmp_path / "a", device="abacus", **SMALL)
    assert not (tmp_path / "a").exists()


def test_mistakes_are_named(tmp_path):
    with pytest.raises(TypeError, match="epohcs"):
        gdas.search(run=tmp_path / "a", epohcs=3)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="epochs.*whole number"):
        gdas.search(run=tmp_path / "a", epochs="many")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="epochs.*between"):
        gdas.search(run=tmp_path / "a", epochs=0)
    with pytest.raises(gdas.GdasError):
        gdas.search("no-such-data", run=tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_an_exception_of_the_callback_stops_the_run(tmp_path):
    def stop(event):
        if event["event"] == "epoch":
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        gdas.search(run=tmp_path / "a", on_event=stop, **{**SMALL, "epochs": 50})
    assert (tmp_path / "a" / "checkpoint.0").exists() and not (tmp_path / "a" / "result.json").exists()


def test_other_threads_run_meanwhile(tmp_path):
    beats: list[float] = []
    done = threading.Event()

    def beat():
        while not done.wait(0.001):
            beats.append(time.monotonic())

    thread = threading.Thread(target=beat)
    thread.start()
    before = time.monotonic()
    gdas.search(run=tmp_path / "a", **SMALL)
    took = time.monotonic() - before
    done.set()
    thread.join()
    within = [before] + [at for at in beats if at < before + took] + [before + took]
    # Held for the whole search, the interpreter's lock would leave one gap as long as that.
    assert len(within) > 10 and max(b - a for a, b in zip(within, within[1:])) < took / 2


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT cannot be sent to a process of its own there")
def test_ctrl_c_leaves_a_checkpoint_that_resumes_to_the_same_bits(tmp_path):
    keys = {**SMALL, "epochs": 400, "log_interval": 1}
    whole = gdas.search(run=tmp_path / "whole", **keys)
    script = f"import gdas; gdas.search(run={str(tmp_path / 'cut')!r}, on_event=lambda e: print(e['event'], flush=True), **{keys!r})"
    # A shell starts jobs in the background with SIGINT ignored, and children inherit that.
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    while process.stdout.readline().strip() != "step":
        pass
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode != 0 and "KeyboardInterrupt" in error
    assert not (tmp_path / "cut" / "result.json").exists()
    assert gdas.resume(tmp_path / "cut")["digest"] == whole["digest"]


def test_a_run_has_a_directory_of_its_own_unless_one_is_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = gdas.search(**SMALL)
    assert found.run.samefile(tmp_path / "runs" / "digits-1")
    assert gdas.search(**SMALL).run.name == "digits-2"
    with pytest.raises(gdas.GdasError, match="already"):
        gdas.search(run="runs/digits-1", **SMALL)
    (tmp_path / "runs" / "digits-1" / "mark").write_text("old")
    again = gdas.search(run="runs/digits-1", overwrite=True, **SMALL)
    assert again["digest"] == found["digest"] and not (again.run / "mark").exists()
    # What is no run is not deleted, whatever was asked for.
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "mark").write_text("kept")
    gdas.search(run="precious", overwrite=True, **SMALL)
    assert (tmp_path / "precious" / "mark").read_text() == "kept"
    assert gdas.load("digits-2").run.name == "digits-2"


def test_callbacks_see_steps_and_epochs_and_stop_the_run(tmp_path):
    steps: list[int] = []
    epochs: list[int] = []

    def on_epoch(event):
        epochs.append(event["epoch"])
        return event["epoch"] < 2

    keys = {**SMALL, "epochs": 50}
    stopped = gdas.search(run=tmp_path / "a", on_step=lambda event: steps.append(event["step"]), on_epoch=on_epoch, **keys)
    # The run waits for a callback's answer, so it stops at that very step.
    assert epochs == [0, 1, 2] and len(steps) == 12 and not stopped.finished
    assert stopped.genotype and len(stopped.history["epoch"]) == 3
    with pytest.raises(KeyError, match="not finished"):
        stopped["digest"]
    done = gdas.resume(stopped, progress=False, on_epoch=lambda event: None)
    assert done.finished and len(done.history["epoch"]) == 50


def test_a_judge_of_ones_own_chooses_the_cell(tmp_path):
    asked: list[gdas.Genotype] = []

    def few_parameters(genotype: gdas.Genotype) -> float:
        asked.append(genotype)
        return genotype.parameter_free

    found = gdas.search(run=tmp_path / "a", judge=few_parameters, candidates=20, **SMALL)
    assert len(asked) == len(set(asked)) == 20
    assert found["parameter_free"] == max(genotype.parameter_free for genotype in asked)
    with pytest.raises(ZeroDivisionError):
        gdas.search(run=tmp_path / "b", judge=lambda genotype: 1 / 0, **SMALL)
    # What was learned is saved; going on needs a judge again.
    with pytest.raises(gdas.GdasError, match="python"):
        gdas.resume(tmp_path / "b", progress=False)
    assert gdas.resume(tmp_path / "b", judge=few_parameters, progress=False).finished


def test_a_space_of_ones_own_is_a_dictionary_or_toml(tmp_path):
    toml = pytest.importorskip("tomllib")
    text = gdas._gdas.space_toml(json.dumps("nas-bench-201")).replace('name = "nas-bench-201"', 'name = "mine"')
    assert 'name = "mine"' in text
    found = gdas.search(run=tmp_path / "a", space=text, **SMALL)
    same = gdas.search(run=tmp_path / "b", space=toml.loads(text), **SMALL)
    assert found["space"] == "mine" and same["digest"] == found["digest"]
    assert found.genotype.space == "mine" and "</svg>" in found.genotype.svg()
    # The run holds the whole space.
    assert gdas.train(found, run=tmp_path / "c", **SHORT).genotype == found.genotype
    with pytest.raises(ValueError, match="space"):
        gdas.search(run=tmp_path / "d", space={"name": "nothing"}, **SMALL)


def test_numbers_of_numpy_are_numbers(tmp_path):
    import numpy as np

    keys = {**SMALL, "seed": np.int64(3), "epochs": np.int32(2), "learning_rate": np.float32(0.025), "flip": np.bool_(False)}
    betas: Any = np.array([0.5, 0.999])
    found = gdas.search(run=tmp_path / "a", alpha_betas=betas, **keys)
    assert found["seed"] == 3


def test_the_largest_seed_is_one(tmp_path):
    assert gdas.search(run=tmp_path / "a", **{**SMALL, "seed": 2**64 - 1})["seed"] == 2**64 - 1


def test_the_commands_of_the_program_are_functions(tmp_path):
    found = gdas.search(run=tmp_path / "a", **SMALL)
    network = gdas.train(found, run=tmp_path / "net", **SHORT)
    assert gdas.cost(found)["total"]["params"] > 1000
    assert gdas.cost("GDAS_V1", latency=False, image_size=64)["image_size"] == 64
    scores = gdas.score([found, str(found.genotype)], "digits", proxy=["synflow"], channels=4, cells=1)
    assert [set(row["scores"]) for row in scores] == [{"synflow"}] * 2
    tested = gdas.evaluate(network)
    assert tested["accuracy"] == pytest.approx(network["test_accuracy"], abs=1e-6)
    page = gdas.report([found, network], out=tmp_path / "report")
    assert "<html" in page.read_text(encoding="utf-8").lower()
    (tmp_path / "zero.png").write_bytes(png(8, [0] * 64))
    (answer,) = gdas.predict(network, tmp_path / "zero.png")
    assert answer["class"] in network.classes and sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    file = gdas.export(network, to=tmp_path / "network.onnx")
    assert file.stat().st_size > 1000
    with pytest.raises(ValueError, match="format"):
        network.export(tmp_path / "network.unknown")
    with pytest.raises(gdas.GdasError, match="train"):
        gdas.evaluate(found)


def test_an_automatic_run(tmp_path):
    made = gdas.auto("digits", run=tmp_path / "a", budget=10, progress=False)
    assert made.network["test_accuracy"] is not None and all(file.is_file() for file in made.exported)
    assert made.genotype == made.network.genotype and isinstance(gdas.load(made), gdas.Auto)


def test_the_program_comes_with_the_module(tmp_path):
    def output(*words: str) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, "-m", "gdas", *words], cwd=tmp_path, capture_output=True, text=True)

    assert output("--version").stdout.split() == ["gdas", gdas.__version__]
    assert output("genotype", "parse", "GDAS_V1").returncode == 0
    assert output("search", "--epohcs", "3").returncode == 2
    found = output("search", "--preset", "smoke", "--json")
    assert json.loads(found.stdout.splitlines()[-1])["event"] == "result"
    assert gdas.load(tmp_path / "runs" / "digits-1").finished
