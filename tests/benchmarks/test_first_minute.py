"""The benchmark of the first study: what it calls a clear answer, and which seeds make a set."""

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import striate

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def first_minute(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    for name in ("common", "first_minute"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module("first_minute")
    for name in ("common", "first_minute"):
        sys.modules.pop(name, None)


def verdict(label, low, mean):
    return SimpleNamespace(label=label, interval=SimpleNamespace(low=low, mean=mean))


def test_undecided_and_weak_verdicts_are_not_clear(first_minute, monkeypatch):
    labels = ["clearly better", "better", "undecided", "no difference that matters"]
    seen = []

    def set_of(results, seeds):
        seen.append(seeds)
        return SimpleNamespace(verdicts=[verdict(labels[len(seen) - 1], -len(seen), 2.0)])

    monkeypatch.setattr(first_minute, "set_of", set_of)
    results = SimpleNamespace(study=SimpleNamespace(seeds=tuple(range(12))), arms=())
    row = first_minute.report("bf16", results, 4)
    assert seen == [(0, 1, 2), (3, 4, 5), (6, 7, 8), (9, 10, 11)]
    assert row[1] == "2 of 4"
    assert row[4] == "-4.0"


def test_a_set_has_its_seeds_only(first_minute, tmp_path):
    study = striate.load("quickstart", seeds=6, out=tmp_path)
    arm = study.arms[0].name
    rows = tuple(SimpleNamespace(arm=arm, seed=seed) for seed in range(6))
    results = first_minute.set_of(striate.Results(tmp_path, study.study, study.arms, rows, left_out=()), (2, 3))
    assert [row.seed for row in results.rows] == [2, 3]
    assert results.study.seeds == (2, 3)
