"""The notebook of the book, cell after cell."""

import ast
import json
import os
import pathlib
import warnings
from typing import Any

import pytest

NOTEBOOK = pathlib.Path(__file__).parents[3] / "docs" / "images-to-torch.ipynb"


def shown(value: Any) -> str:
    """What a notebook shows of a value."""
    for way in ("_repr_svg_", "_repr_html_"):
        if hasattr(value, way):
            return str(getattr(value, way)())
    return repr(value)


def test_the_notebook_runs(tmp_path, monkeypatch):
    pytest.importorskip("pandas", reason="pandas is not installed, so nobody runs the notebook")
    try:
        import torch  # noqa: F401

        has_torch = True
    except ImportError:
        warnings.warn("PyTorch is not installed, so nobody runs the second half of the notebook", RuntimeWarning)
        has_torch = False
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    results = []
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "code" or ("torch" in cell["metadata"].get("tags", []) and not has_torch):
            continue
        body = ast.parse("".join(cell["source"])).body
        last = ast.Expression(body.pop().value) if isinstance(body[-1], ast.Expr) else None  # type: ignore[attr-defined]
        exec(compile(ast.Module(body, []), NOTEBOOK.name, "exec"), names)
        if last is not None:
            value = eval(compile(last, NOTEBOOK.name, "eval"), names)
            results.append((value, shown(value)))
    assert any("<svg" in text for _, text in results)
    assert names["network"]["test_accuracy"] > 0.6 and os.path.exists("runs/shapes.safetensors")
    if has_torch:
        assert results[-2][0] < 1e-5 and names["accuracy"] > 0.8
