"""Benchmarks of cleaning run, small: what they measure is there, and what they plant is found."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def run(name: str, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> dict:
    """Run a benchmark without peers, and return what it would write."""
    written = []
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    monkeypatch.setattr("machine.write", lambda _, report: written.append(report))
    spec = importlib.util.spec_from_file_location(f"bench_{name}", BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main()
    (report,) = written
    return report


def test_near_duplicates(monkeypatch):
    report = run("minhash", monkeypatch, "--count", "3000", "--rounds", "1")
    (ours,) = report["mashbill"]
    assert ours["recall"] > 0.9
    assert (ours["below"], ours["others"]) == (0, 0)
    assert ours["documents"] == 3000


def test_leaks(monkeypatch):
    sizes = ("--items", "400", "--count", "60", "--leaks", "6", "--rounds", "1")
    report = run("decontaminate", monkeypatch, *sizes)
    assert all(found == of for found, of in report["leaks"].values())
    assert [hits for hits, _ in report["false_hits"].values()] == [0] * 5
