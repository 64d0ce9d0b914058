"""A study that judges another number than test accuracy: the page says that number everywhere."""

import re
import statistics

import pytest

from striate.report import checks, figures, kinds, limits, sections
from striate.report.metric_words import MetricWords
from striate.report.pages import build
from striate.runs.layout import slug
from striate.studies.metrics import run_metric
from striate.studies.results import Results
from striate.verdicts.intervals import Interval
from tests.report import folders
from tests.report.reading import Page

LOSSES = {"plain": (0.31, 0.33, 0.32, 0.35), "normalized": (0.21, 0.22, 0.20, 0.24)}
SECONDS = {"plain": (10.0, 11.0, 10.5, 10.2), "normalized": (20.0, 21.0, 20.5, 23.0)}


def study(folder, metric, matters, **changes):
    folders.write_study(folder, metric=metric, matters=matters, seeds=4, **changes)
    for arm in LOSSES:
        for seed in range(4):
            numbers = {"test_loss": LOSSES[arm][seed], "seconds": SECONDS[arm][seed]}
            folders.write_run(folder, arm, seed, test=0.95, **numbers)
    return Results.read(folder)


@pytest.fixture
def loss(tmp_path):
    return study(tmp_path / "loss", "test loss", 0.05)


@pytest.fixture
def time(tmp_path):
    return study(tmp_path / "time", "training time", 10)


@pytest.fixture
def without_charts(monkeypatch):
    """Drawing takes a second."""
    monkeypatch.setattr("striate.report.svg.is_available", lambda: False)


def test_the_figures_have_the_values_of_the_metric(loss):
    values, differences = figures.accuracies(loss), figures.differences(loss)
    assert {arm.arm: tuple(point.value for point in arm.points) for arm in values.arms} == LOSSES
    assert values.title == "Mean test loss is 0.33 for plain and 0.22 for normalized"
    mean = statistics.fmean(LOSSES["normalized"]) - statistics.fmean(LOSSES["plain"])
    assert figures.mean_difference(differences.verdicts[0]) == pytest.approx(mean)
    assert differences.caption.startswith("Difference of test loss: first arm minus second arm.")
    assert "differences under 0.05, which do not matter" in differences.caption


def test_times_are_ratios(time):
    values = figures.accuracies(time)
    assert values.arms[1].mean == pytest.approx(statistics.geometric_mean(SECONDS["normalized"]))
    (row,) = sections.differences_table(time).rows
    assert row[1].endswith(" s")
    assert float(row[3]) == pytest.approx(100 * (values.arms[1].mean / values.arms[0].mean - 1), abs=0.05)
    assert "on new images" not in sections.differences_table(time).head


def test_lower_is_better_in_the_glossary(loss):
    terms = dict(limits.glossary(loss))
    assert terms["clearly better, clearly worse"] == (
        "The whole confidence interval is below \N{MINUS SIGN}0.05, or above +0.05."
    )
    assert "point" not in terms


def test_the_page_of_a_loss_does_not_speak_of_points_or_accuracy_where_it_judges(loss, without_charts):
    page = Page(build(loss))
    judged = page.text[page.text.index("1 Answer") : page.text.index("5 Training curves")]
    assert "Test loss. The lower, the better." in judged
    assert "0.05 of test loss." in judged
    assert "percentage points" not in judged
    assert not re.search(r"test accurac|points of", judged)
    assert "on new ones is computed for accuracies alone" in judged
    assert page.tables["Every planned run"][0][3] == "test loss"
    assert page.tables["Every planned run"][1][3] == "0.310"


def test_a_study_without_a_plan_shows_means_of_its_metric(tmp_path, without_charts):
    results = study(tmp_path / "s", "test loss", 0.05, compare=[])
    assert sections.means(results)[0].startswith("plain: mean test loss 0.33 (standard deviation 0.02, ")
    (pair,) = sections.unplanned(results).rows
    assert pair[1] == "\N{MINUS SIGN}0.11"
    assert "Test loss of each arm:" in Page(build(results)).text


def test_a_check_has_the_unit_of_the_metric(time, loss):
    by_code = {check.code: check.sentence for check in checks.checks(time)}
    assert re.search(
        r"between seeds is [\d.]+ %.*the 10 % that matter|[\d.]+ % at most, within the 10 %", by_code["ST007"]
    )
    by_code = {check.code: check.sentence for check in checks.checks(loss)}
    assert "points" not in by_code["ST007"]


def test_a_grid_has_a_map_of_its_metric(tmp_path):
    arms = {f"norm={norm}": loss for norm, loss in zip(("none", "batch"), LOSSES.values(), strict=True)}
    grid = {"network.norm": ["none", "batch"]}
    folder = folders.write_study(
        tmp_path / "s", metric="test loss", matters=0.05, arms=None, compare=None, grid=grid, seeds=4
    )
    for arm, losses in arms.items():
        for seed, value in enumerate(losses):
            folders.write_run(folder, slug(arm), seed, test=0.9, test_loss=value)
    maps = kinds.heat_maps(Results.read(folder))
    assert [made.name for made in maps] == ["mean test loss", "mean test accuracy (%)", "mean training time (s)"]
    assert maps[0].values[0] == pytest.approx([statistics.fmean(losses) for losses in arms.values()])


@pytest.mark.parametrize(
    ("low", "high", "text"), [(4489.9, 5623.0, "4,490 to 5,623"), (999.6, 1000.4, "1,000 to 1,000")]
)
def test_a_large_speed_is_written_without_an_exponent(low, high, text):
    words = MetricWords(metric=run_metric("images a second").metric, digits=1)
    assert words.between(Interval(mean=5000.0, low=low, high=high, confidence=0.95, n=3)) == text
