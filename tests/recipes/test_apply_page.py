"""The code of the page "Apply a tactic to your own model" runs as it stands there."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest
import torch

from recipes.common.timing import __main__ as timing
from recipes.redesign_distil_and_quantise import FoldingBlock

PAGE = Path(__file__).resolve().parents[2] / "catalogue" / "pages" / "how-to" / "apply" / "index.md"
TEXT = PAGE.read_text(encoding="utf-8")
MINE, *STEPS = re.findall(r"^```python.*?\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    torch.set_num_threads(1)
    return tmp_path


def test_the_code_runs_and_the_networks_can_be_timed(folder: Path, capsys) -> None:
    pytest.importorskip("torch_pruning", reason="the extra prune is not installed")
    assert len(STEPS) == 5
    names: dict[str, object] = {}
    for step in STEPS:
        exec(step, names)
    printed = capsys.readouterr().out
    energies = {line.split()[0]: int(line.split()[2].replace(",", "")) for line in printed.splitlines()[:2]}
    assert energies["pruned"] < energies["dense"]
    assert sum(w.numel() for w in names["smaller"].parameters()) < sum(
        w.numel() for w in names["dense"].parameters()
    )
    assert not any(isinstance(module, FoldingBlock) for module in names["folded"].modules())
    assert names["accuracy"](names["folded"]) > 0.8
    shown = re.search(r"^python -m recipes\.common\.timing (.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert shown
    words = shlex.split(shown[1].replace("\\\n", " "))
    assert timing.main([*words, "--engine", "pytorch", "--cap-s", "0", "--least-rounds", "3"]) == 0
    timed = capsys.readouterr().out
    assert "smaller" in timed
    assert "redesigned" in timed


def test_the_functions_named_are_public_and_there() -> None:
    named = re.findall(r"^- `(\w+)` of `([\w.]+)`", TEXT, re.MULTILINE)
    assert len(named) >= 9
    for function, module in named:
        assert callable(getattr(importlib.import_module(module), function))
