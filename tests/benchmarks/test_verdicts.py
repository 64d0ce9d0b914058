"""The simulation of verdicts: it judges as `compare` does, and sees the rules that are known to be wrong."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from striate.verdicts import ArmResults, Design, compare, label

FOLDER = Path(__file__).parents[2] / "benchmarks"
PAGE = Path(__file__).parents[2] / "docs" / "verdicts.md"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.delitem(sys.modules, "verdicts", raising=False)
    yield importlib.import_module("verdicts")
    sys.modules.pop("verdicts", None)


@pytest.mark.parametrize(
    ("looks", "counts"), [((3,), (3,)), ((3, 5, 8), (3, 5, 8)), ((3, 5), (3, 4, 5, 7)), ((5,), (5, 6, 9, 12))]
)
@pytest.mark.parametrize("images", [0, 60])
def test_the_simulated_rule_is_that_of_compare(bench, looks, counts, images):
    rng = np.random.default_rng(0)
    for _ in range(15):
        values = rng.normal(80, 2, (2, 3, counts[-1]))
        if images:
            values = 100 * np.round(values * images / 100) / images
        differences = values[0] - values[1]
        scale = images / 100 if images else 1.0
        simulated = list(
            bench.verdict_intervals(np.round(scale * differences, 9)[None], looks, counts, 3, 1.0 if images else 0.0)
        )
        for n, (low, high) in zip(counts, simulated, strict=True):
            pairs = [
                tuple(
                    ArmResults(arm=f"{arm}{i}", values=dict(enumerate(values[arm, i, :n])), test_images=images)
                    for arm in (0, 1)
                )
                for i in range(3)
            ]
            design = Design(matters=1, seeds=tuple(range(looks[-1])), looks=looks)
            for i, verdict in enumerate(compare(pairs, design)):
                expected = (low[0, i] / scale, high[0, i] / scale)
                assert (verdict.interval.low, verdict.interval.high) == pytest.approx(expected)


def test_what_counts_as_wrong_follows_the_labels(bench):
    rng = np.random.default_rng(1)
    for _ in range(300):
        low, high = np.sort(rng.normal(0, 1.5, 2))
        truth = rng.choice([-2.0, -1.0, 0.0, 0.5, 1.0, 2.0])
        word = label(low, high, 1.0)
        true = {
            "no difference that matters": abs(truth) < 1,
            "clearly better": truth > 1,
            "clearly worse": truth < -1,
            "better": truth > 0,
            "worse": truth < 0,
            "undecided": True,
        }[word]
        assert bool(bench.is_wrong(np.array([low]), np.array([high]), truth, 1.0)[0]) != true


def test_every_row_is_right_and_the_old_rules_are_found_wrong(bench):
    """With few studies, so within four standard errors; where noise is skewed, or not normal and coarse, it may break."""
    rows = list(bench.rows(1000))
    for row in rows:
        limit = 0.01 * float(row.target.removeprefix("≤ ")) if row.target else 1.0
        for wrong in (w for w in row.wrong if w is not None and "skewed" not in row.situation):
            studies = 1000 if row.wrong[1] is not None else 100
            assert wrong / 100 <= limit + 4 * (limit * (1 - limit) / studies) ** 0.5, row
    old = {row.situation: row.wrong for row in rows if "old rule" in row.situation}
    assert len(old) == 3
    assert all(max(w for w in wrong if w is not None) > 6.5 for wrong in old.values())
    skewed = [row for row in rows if "skewed" in row.situation]
    assert min(row.wrong[0] for row in skewed) > 5  # the page says that it breaks there


def test_the_page_has_the_table_of_the_simulation(bench):
    text = PAGE.read_text(encoding="utf-8")
    shown = bench.TABLE.search(text)[0]
    for row in bench.rows(100):
        assert f"| {row.situation} |" in shown
