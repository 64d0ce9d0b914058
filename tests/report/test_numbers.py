"""The page's numbers against SciPy, and its sentences against the numbers."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from striate.report import curves, draw, figures, limits, sections, study_facts
from striate.report.contents import section
from striate.studies.results import Results
from striate.studies.study import Study
from tests.report import folders
from tests.report.reading import Page

PLAIN, NORMALIZED = (100 * np.array(folders.TEST[arm]) for arm in ("plain", "normalized"))


def test_difference_and_interval_are_scipys(two_page):
    # One look has 4 % of the 5 %. Differences of whole images, here of 360, have the variance of rounding both.
    differences = NORMALIZED - PLAIN
    spread = np.hypot(differences.std(ddof=1), 100 / 360 / 6**0.5)
    low, high = differences.mean() + np.array(stats.t.interval(0.96, 2)) * spread / 3**0.5
    head, row = Page(two_page).tables["Planned comparisons"]
    assert dict(zip(head, row, strict=True)) == {
        "comparison": "normalized − plain",
        "mean of first": f"{NORMALIZED.mean():.1f} %",
        "mean of second": f"{PLAIN.mean():.1f} %",
        "difference": f"{(NORMALIZED - PLAIN).mean():+.1f}",
        "on these test images": f"{low:+.1f} to {high:+.1f}",
        "on new images": "–",
        "confidence level": "95 %",
        "n": "3",
        "verdict": "▲ clearly better",
    }


def test_accuracies_are_scipys(two_page):
    _, plain, normalized = Page(two_page).tables["test accuracy of each run"]
    for row, values in ((plain, PLAIN), (normalized, NORMALIZED)):
        # Wilson's interval for so many trials as have this standard error
        share, t = values.mean() / 100, stats.t.isf(0.025, 2)
        inner = (360 * share + 0.5) / 361
        trials = inner * (1 - inner) / (stats.sem(values) / 100) ** 2
        center, weight = (share + t**2 / trials / 2) / (1 + t**2 / trials), t**2 / trials
        half = (weight * (share * (1 - share) + weight / 4)) ** 0.5 / (1 + weight)
        assert row[1:] == [
            *(f"{v:.2f}" for v in (*values, values.mean(), values.std(ddof=1))),
            f"{100 * (center - half):.2f} to {100 * (center + half):.2f}",
            "3",
        ]


def test_differences_by_seed(two_page):
    _, row = Page(two_page).tables["differences by seed"]
    assert row[1:4] == [f"{d:+.2f}" for d in NORMALIZED - PLAIN]


def test_curves_are_means_with_t_intervals(two):
    panel = curves.curves(two).panels[2]
    values = [
        100 * folders.metrics("plain", seed, folders.TEST["plain"][seed], 12)[4]["validation_accuracy"]
        for seed in range(3)
    ]
    low, high = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    fifth = panel.arms[0].means[4]
    assert (fifth.epoch, fifth.n) == (5, 3)
    assert (fifth.mean, fifth.low, fifth.high) == pytest.approx((np.mean(values), low, high))
    assert panel.table.rows[4][1] == f"{np.mean(values):.1f} ± {high - np.mean(values):.1f}"


def test_a_diverged_run_is_drawn_to_its_end_and_stays_out_of_the_mean(troubled):
    training = curves.curves(troubled).panels[0]
    fast = training.arms[2]
    assert [(line.seed, line.diverged, len(line.points)) for line in fast.lines] == [
        (0, True, 2),
        (1, False, 12),
        (2, False, 12),
    ]
    assert max(mean.mean for mean in fast.means) < 10
    assert "Cross: end of a diverged run (1);" in curves.curves(troubled).caption


def test_an_unfinished_run_does_not_move_the_mean(troubled):
    normalized = curves.curves(troubled).panels[2].arms[1]
    assert len(normalized.lines) == 3
    assert {mean.n for mean in normalized.means} == {1}


def test_while_no_run_has_finished_the_mean_is_of_those_on_their_way(tmp_path):
    folder = folders.write_study(tmp_path / "s")
    for seed, epochs in enumerate((5, 3)):
        folders.write_run(folder, "plain", seed, test=None, epochs=epochs, state="unfinished")
    figure = curves.curves(Results.read(folder))
    assert [(mean.epoch, mean.n) for mean in figure.panels[0].arms[0].means] == [(1, 2), (2, 2), (3, 2)]
    assert "mean of the finished runs (for plain: of the unfinished runs)." in figure.caption


def test_the_leader_leads_from_the_epoch_said(tmp_path):
    folder = folders.write_study(tmp_path / "s", seeds=1)
    for arm, shares in {"plain": (0.5, 0.6, 0.7, 0.7), "normalized": (0.6, 0.5, 0.8, 0.9)}.items():
        rows = [
            row | {"validation_accuracy": s} for row, s in zip(folders.metrics(arm, 0, 0.9, 4), shares, strict=True)
        ]
        folders.write_run(folder, arm, 0, test=0.9, metrics=rows)
    assert (
        curves.curves(Results.read(folder)).title
        == "normalized is ahead of plain in mean validation accuracy from epoch 3 on"
    )


def test_runs_that_did_not_train_are_marked_and_stay_out_of_the_mean(troubled):
    """One diverged and one stayed at chance: as accuracies they would decide the mean."""
    fast = figures.accuracies(troubled).arms[2]
    assert [(point.value, point.trained) for point in fast.points] == [
        (10.0, False),
        (pytest.approx(10.1), False),
        (90.0, True),
    ]
    assert (fast.mean, fast.n) == (90.0, 1)


def test_every_trouble_is_named_once(troubled):
    assert sections.trouble(troubled) == (
        "normalized, seed 1: failed (x.pt: no space left on the disk)",
        "normalized, seed 2: unfinished after 5 epochs",
        "fast, seed 0: diverged (the loss is not finite in epoch 3)",
        "fast, seed 1: accuracy at chance",
        "wide: none of the 3 runs has started",
    )
    assert sections.progress(troubled).startswith("7 of 12 runs have a result")


def test_a_page_names_twelve_troubles_and_counts_the_rest(tmp_path):
    folder = folders.write_study(tmp_path / "s", seeds=10)
    for arm in folders.TEST:
        for seed in range(10):
            folders.write_run(folder, arm, seed, test=None, epochs=1, state="failed")
    lines = sections.trouble(Results.read(folder))
    assert len(lines) == 13
    assert lines[-1] == f"and 8 more; {section('runs')} has all runs"


def test_nothing_is_named_where_all_is_well(two):
    assert sections.trouble(two) == ()


def test_unplanned_pairs_have_a_mean_and_no_verdict(many):
    table = sections.unplanned(many)
    assert len(table.rows) == 10
    assert table.note == "The 10 largest of 21 pairs."
    sizes = [abs(float(row[1].replace("−", "-"))) for row in table.rows]
    assert sizes == sorted(sizes, reverse=True)
    assert not any(row[0].endswith("− arm a") for row in table.rows)  # each against the first was planned


def test_claims_stand_beside_the_measurement(tmp_path):
    claim = {"says": "97 with, 95.5 without", "source": "a lecture", "normalized": 97.0, "plain": 95.5}
    results = Results.read(folders.two_arms(tmp_path / "s", claims=[claim]))
    (judged,) = results.claims
    ((says, source, word, measured),) = sections.claims(results).rows
    assert (says, source, word) == ("97 with, 95.5 without", "a lecture", f"? {judged.word}")
    for mean in (NORMALIZED.mean(), PLAIN.mean()):
        assert f"Measured: {mean:.1f} %" in measured


def test_arms_are_shown_by_what_differs(troubled):
    table = study_facts.arms_table(troubled)
    assert table.head == ("arm", "network.norm", "recipe.optimizer.lr", "recipe.epochs", "parameters")
    assert table.rows[2] == ("fast", "none", "0.1", "12", "21\u202f034")
    assert table.rows[3] == ("wide", "none", "0.001", "13", "–")


def test_the_margin_of_a_single_accuracy_is_the_binomial_one(two):
    low, high = stats.binomtest(round(3.6 * NORMALIZED.mean()), 360).proportion_ci(method="wilson")
    margin = 50 * (high - low)
    assert any(
        f"360 test images, a single accuracy near 97 % has a margin of error of ±{margin:.1f} points" in line
        for line in limits.limits(two)
    )


@pytest.mark.parametrize("group", [None, "folder"])
def test_intervals_are_said_to_be_too_narrow_where_images_belong_together(tmp_path, group):
    folder = folders.write_study(tmp_path / "s", data={"source": "films", "group": group} if group else "films")
    for arm in ("plain", "normalized"):
        folders.write_run(folder, arm, 0, test=0.9)
    lines = [line for line in limits.limits(Results.read(folder)) if "(data.group)" in line]
    assert [line.split(",")[-1] for line in lines] == (
        [" so with few groups in the test part they are too narrow."] if group else []
    )


def test_a_run_that_never_opened_the_test_set_has_the_same_data(tmp_path):
    folder = folders.write_study(tmp_path / "s")
    closed = {key: item for key, item in folders.DATA.items() if key != "test_digest"}
    folders.write_run(folder, "plain", 0, test=0.9)
    folders.write_run(folder, "normalized", 0, test=None, state="diverged", data=closed)
    folders.write_run(folder, "plain", 1, test=0.9, data=folders.DATA | {"mean": [0.31]})
    facts = study_facts.data_facts(Results.read(folder))
    assert [name for name, _ in facts] == ["Data", "Notes on the data"]
    assert facts[1][1] == "16 grey levels."


def test_arms_with_other_data_are_named(tmp_path):
    folder = folders.write_study(tmp_path / "s")
    folders.write_run(folder, "plain", 0, test=0.9)
    folders.write_run(folder, "normalized", 0, test=0.9, data=folders.DATA | {"train": 600, "digest": "other"})
    names = [name for name, _ in study_facts.data_facts(Results.read(folder))]
    assert names == [f"{what} of {arm}" for arm in ("plain", "normalized") for what in ("Data", "Notes on the data")]


@pytest.mark.parametrize(
    ("last", "ticks"),
    [(1, [1]), (2, [1, 2]), (12, [2, 4, 6, 8, 10, 12]), (60, [10, 20, 30, 40, 50, 60]), (164, [50, 100, 150])],
)
def test_epochs_are_named_once_each(two, last, ticks):
    panel = curves.curves(two).panels[0]
    longer = replace(panel.arms[0].lines[0], points=((1, 2.0), (last, 0.5)))
    panel = replace(panel, arms=(replace(panel.arms[0], lines=(longer,), means=()),))
    frame = draw.panel_spec(panel, draw.PANEL, 215)["layer"][0]
    assert frame["encoding"]["x"]["axis"]["values"] == ticks


def test_different_environments_are_noted(tmp_path):
    folder = folders.write_study(tmp_path / "s")
    for seed in range(3):
        folders.write_run(folder, "plain", seed, test=0.9, environment={"threads": 2 if seed else 8})
    table = study_facts.environments(Results.read(folder))
    assert table.head == ("environment", "1 run", "2 runs")
    assert ("threads", "8", "2") in table.rows
    assert "had different environments" in table.note


def test_the_recipe_s_sentence_names_each_kind_of_augmentation():
    from striate.recipes import AugmentConfig, Recipe

    assert "; no augmentation." in study_facts.recipe(Recipe())
    assert "; horizontal flips and random shifts up to 4 pixels." in study_facts.recipe(
        Recipe(augment={"flip": True, "crop": 4})
    )
    assert "; horizontal flips in every second epoch." in study_facts.recipe(Recipe(augment={"flip": "alternate"}))
    for key in set(AugmentConfig.model_fields) - {"flip"}:
        value = 3 if key in ("crop", "cutout") else 0.25
        sentence = study_facts.recipe(Recipe(augment={key: value}))
        assert f"{value:g}" in sentence.split(";")[-1], sentence


def test_the_network_s_sentence_names_all_that_is_not_the_default():
    sentence = study_facts.network(Study(question="q", data="digits", network={"layers": "speedrun", "width": 0.25}))
    assert sentence.endswith(
        "; no normalization, no activation after each conv and fc layer, and a classifier on top;"
        " freeze up-to conv1; bias no; width 0.25; logit_scale 0.1111"
    )
    plain = study_facts.network(Study(question="q", data="digits", network="conv8"))
    assert plain == "conv8; no normalization, relu after each conv and fc layer, and a classifier on top"
    family = study_facts.network(Study(question="q", data="digits", network={"family": "stack", "conv": 1}))
    assert family == f"conv100 pool; {plain.partition('; ')[2]}"


def test_more_than_four_arms_are_small_plots_over_the_others_in_gray(many):
    figure = curves.curves(many)
    assert figure.is_crowded
    plots = dict(draw.multiples(figure.panels[0], figure.plotted))
    assert list(plots) == [arm.name for arm in many.arms]
    _, gray, *own = plots["arm a"]["layer"]
    assert sum(value["y"] is None for value in gray["data"]["values"]) == 8
    assert gray["mark"]["color"] == "var(--muted)"
    assert {layer["mark"].get("color") for layer in own} >= {"var(--c1)"}
    assert "Gray lines: the means of the other arms." in figure.caption


def test_of_very_many_arms_twelve_have_a_plot_and_the_caption_says_which(tmp_path):
    figure = curves.curves(Results.read(folders.many(tmp_path / "s", arms=14, seeds=2, epochs=2)))
    assert len(figure.plotted) == 12
    assert figure.plotted[0] == "arm 0"
    assert "arm 13" in figure.plotted
    assert (
        "Of 14 arms, the first and the 11 with the best validation accuracy at their end have a plot." in figure.caption
    )


def test_a_loss_axis_starts_at_0_only_where_that_squeezes_nothing():
    def span(*values):
        run = curves.Line(seed=0, points=tuple(enumerate(values, 1)))
        return draw._y_range([run], is_percent=False)

    assert span(0.1, 2.0)[0] == 0.0
    assert span(1.9, 2.0) == pytest.approx((1.895, 2.005))
