"""The figures of a grid and of a scale are means of the runs, and stand on the page."""

import statistics

import pytest

from striate.report import kinds
from striate.report.draw_kinds import heat_map_spec
from striate.report.pages import build
from striate.runs.layout import slug
from striate.studies.results import Results
from tests.report import folders
from tests.report.reading import Page

NETWORK = {"family": "stack", "conv": 1, "fc": 1, "step": 8}
ACCURACIES = {("1", "none"): 0.80, ("1", "batch"): 0.84, ("2", "none"): 0.70, ("2", "batch"): 0.90}


@pytest.fixture
def grid(tmp_path):
    factors = {"network.conv": [1, 2], "network.norm": ["none", "batch"]}
    folder = folders.write_study(tmp_path / "grid", network=NETWORK, arms=None, compare=None, grid=factors)
    for (conv, norm), accuracy in ACCURACIES.items():
        for seed in range(3):
            folders.write_run(folder, slug(f"conv={conv} norm={norm}"), seed, test=accuracy + 0.002 * seed)
    return Results.read(folder)


def test_a_heat_map_has_the_mean_of_each_combination_in_its_place(grid):
    accuracy, seconds = kinds.heat_maps(grid)
    assert (accuracy.rows, accuracy.columns) == (("conv=1", "conv=2"), ("none", "batch"))
    expected = [[100 * (ACCURACIES[conv, norm] + 0.002) for norm in ("none", "batch")] for conv in ("1", "2")]
    assert [list(row) for row in accuracy.values] == [pytest.approx(row) for row in expected]
    assert accuracy.title.endswith("ranges from 70.2 % (conv=2 norm=none) to 90.2 % (conv=2 norm=batch)")
    assert seconds.is_logarithmic


def test_effects_are_differences_of_these_means(grid):
    rows = {row[0]: row[1] for row in kinds.effects_table(grid).rows}
    assert rows["norm=batch"] == "+12.00"  # the mean of +4 and +20
    assert rows["conv=2"] == "−2.00"
    assert rows["conv=2 with norm=batch"].removeprefix("+") == "16.00"


def test_the_page_of_a_grid_has_its_maps_and_tables(grid):
    page = Page(build(grid))
    assert {"figure-map-1", "figure-map-2"} <= set(page.ids())
    assert "Main effects and interactions" in page.text


def test_the_answer_of_a_grid_is_its_effects(grid, monkeypatch):
    monkeypatch.setattr("striate.report.svg.is_available", lambda: False)
    text = Page(build(grid)).text
    answer = text[: text.index("2 What was compared")]
    for effect in grid.effects:
        if not effect.is_interaction:
            assert effect.sentence.replace(" -", " \N{MINUS SIGN}") in answer
    assert "plans no comparison" not in answer


def test_the_names_of_a_map_stand_beside_their_cells(grid):
    """Vega moves the first and the last label of an axis inwards unless it is told not to."""
    made, _ = kinds.heat_maps(grid)
    encoding = heat_map_spec(made, 700)["layer"][0]["encoding"]
    assert [encoding[axis]["axis"]["labelFlush"] for axis in "xy"] == [False, False]


def test_a_grid_without_runs_has_no_map(tmp_path):
    folder = folders.write_study(
        tmp_path / "empty", network=NETWORK, arms=None, compare=None, grid={"network.conv": [1, 2]}
    )
    assert kinds.heat_maps(Results.read(folder)) == ()
    assert "figure-map" not in build(Results.read(folder))


def test_the_losses_of_a_scale_are_means_over_the_seeds(tmp_path):
    folder = folders.write_study(
        tmp_path / "scale", network=NETWORK, arms=None, compare=None, scale={"network.step": [1, 4, 16]}
    )
    for number, step in enumerate((1, 4, 16)):
        for seed in range(3):
            rows = folders.metrics("plain", seed, 0.9, 4)
            rows[-1] |= {"validation_loss": 1.0 - 0.3 * number + 0.01 * seed, "train_loss": 0.9 - 0.4 * number}
            folders.write_run(folder, slug(f"step={step}"), seed, test=0.9, metrics=rows, parameters=100 * 10**number)
    results = Results.read(folder)
    figure = kinds.scale_figure(results)
    training, validation = figure.curves
    assert [mean.parameters for mean in validation.means] == [100, 1000, 10000]
    assert [mean.mean for mean in validation.means] == pytest.approx([1.01, 0.71, 0.41])
    assert training.means[-1].mean == pytest.approx(statistics.fmean([0.1] * 3))
    page = Page(build(results))
    assert "figure-scale" in page.ids()
    assert results.scale.sentence in page.text
