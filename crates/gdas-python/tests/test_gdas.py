"""The installed wheel: python -m pytest crates/gdas-python/tests."""

import json
import pathlib
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from typing import Any

import gdas
import pytest

SMALL: dict[str, Any] = {"preset": "smoke", "epochs": 2, "max_steps_per_epoch": 4, "seed": 3}


def png(size: int, pixels: list[int]) -> bytes:
    """A grey image."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    rows = b"".join(b"\0" + bytes(pixels[row * size : (row + 1) * size]) for row in range(size))
    head = struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


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
    trained = gdas.train(found, run=tmp_path / "net", preset="smoke", epochs=1, max_steps_per_epoch=4)
    assert trained["genotype"] == found["genotype"] and 0 <= (trained["test_accuracy"] or 0) <= 1
    # The types name what is there.
    for result, known in [(found, gdas.types.SearchResult), (trained, gdas.types.TrainResult)]:
        assert set(known.__annotations__) <= set(result), set(known.__annotations__) - set(result)


def test_a_search_result_is_trained_on_the_data_of_the_search(tmp_path):
    for number in range(160):
        folder = tmp_path / "photos" / ("light" if number % 2 else "dark")
        folder.mkdir(parents=True, exist_ok=True)
        pixels = [(number % 2) * 120 + (7 * x + number) % 100 for x in range(144)]
        (folder / f"{number}.png").write_bytes(png(12, pixels))
    found = gdas.search(tmp_path / "photos", run=tmp_path / "a", **SMALL)
    short: dict[str, Any] = {"preset": "smoke", "epochs": 1, "max_steps_per_epoch": 2}
    trained = gdas.train(found, run=tmp_path / "b", **short)
    assert trained["data"] == found["data"] == "photos" and len(trained["classes"]) == 2
    # So is the result of that training; what is said of the data wins.
    assert len(gdas.train(trained, run=tmp_path / "c", **short)["classes"]) == 2
    assert gdas.train(found, "digits", run=tmp_path / "d", **short)["data"] == "digits"
    # A result whose run is gone does not fall back to other images.
    with pytest.raises(gdas.GdasError, match="holds no run"):
        gdas.train({**found, "run": str(tmp_path / "gone")}, run=tmp_path / "e", **short)
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
    with pytest.raises(ValueError, match="did you mean `epochs`"):
        gdas.search(run=tmp_path / "a", epoch=3)
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


def test_a_table_is_queried():
    table = pathlib.Path(__file__).parents[3] / ".." / "shared" / "data" / "nasbench201.csv"
    if not table.exists():
        pytest.skip(f"{table} is absent")
    cell = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
    found = gdas.query(table, cell)
    assert any(r["dataset"] == "cifar10" and r["values"]["test_accuracy"] > 94 for r in found["results"])
