"""Planned looks: what is trained when, what is written down, and that nothing finished can be left out."""

import re

import numpy as np
import pytest
import yaml

from striate.core.errors import ConfigError
from striate.studies.loaded import load
from striate.studies.results import Results
from striate.verdicts.looks import sequence_factor
from tests.studies.conftest import STUDY, write_study
from tests.studies.made_runs import Recorder

LOOKS = STUDY.replace("seeds: 2", "seeds: {looks: [3, 4, 6]}")


def study_of(tmp_path, accuracy, text=LOOKS, *overrides):
    scheduler = Recorder(accuracy)
    return load(write_study(tmp_path, text), *overrides, out=tmp_path / "runs"), scheduler


def test_a_study_that_is_decided_at_the_first_look_trains_no_more(tmp_path):
    study, scheduler = study_of(tmp_path, lambda arm, seed: 0.9 if arm == "normalized" else 0.7)
    results = study.run(scheduler=scheduler)
    assert scheduler.stages == [[f"{arm} seed {seed}" for arm in ("plain", "normalized") for seed in range(3)]]
    assert results.verdicts[0].label == "clearly better"
    assert results.is_complete
    assert len(results.rows) == 6
    assert not study.plan().missing
    assert "6 of at most 12 runs have ended" in repr(study)


def undecided(arm: str, seed: int) -> float:
    """The arms differ by much and by chance."""
    return 0.7 + 0.1 * ((seed + (arm == "plain")) % 2)


def test_arms_of_undecided_comparisons_go_on_and_the_others_stop(tmp_path):
    text = LOOKS + "  wide: {network.layers: conv8 pool fc8}\n"
    accuracy = {"plain": lambda seed: 0.7, "normalized": lambda seed: 0.9, "wide": lambda seed: 0.65 + 0.1 * (seed % 2)}
    study, scheduler = study_of(tmp_path, lambda arm, seed: accuracy[arm](seed), text)
    results = study.run(scheduler=scheduler)
    assert [len(stage) for stage in scheduler.stages] == [9, 2, 4]
    assert scheduler.stages[1] == ["plain seed 3", "wide seed 3"]
    assert {arm.name: len(results.of(arm.name)) for arm in results.arms} == {"plain": 6, "normalized": 3, "wide": 6}
    assert [verdict.label for verdict in results.verdicts] == ["clearly better", "undecided"]
    assert results.is_complete
    assert Results.read(results.folder).verdicts == results.verdicts


def test_every_look_is_written_down_with_its_day(tmp_path):
    study, scheduler = study_of(tmp_path, undecided)
    results = study.run(scheduler=scheduler)
    written = yaml.safe_load((study.folder / "study.yaml").read_text())
    assert [(look["seeds"], look["comparisons"]) for look in written["looks_taken"]] == [
        (n, ["normalized - plain"]) for n in (3, 4, 6)
    ]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", str(look["date"])) for look in written["looks_taken"])
    assert written["design"]["looks"] == [3, 4, 6]
    assert results.verdicts[0].looks == (3, 4, 6)
    assert "(the third of 3 looks)" in results.verdicts[0].sentence
    again = study.run(scheduler=Recorder(undecided))
    assert again.study.looks_taken == results.study.looks_taken


def test_a_study_that_was_stopped_between_looks_trains_the_same_runs(tmp_path):
    whole, scheduler = study_of(tmp_path / "a", undecided)
    whole.run(scheduler=scheduler)
    study, first = study_of(tmp_path / "b", undecided)
    calls = iter([False, True])
    partial = study.run(scheduler=first, should_stop=lambda: next(calls, True) or len(first.stages) > 0)
    assert not partial.is_complete
    second = Recorder(undecided)
    study.run(scheduler=second)
    assert first.stages + second.stages == scheduler.stages


def test_a_run_that_fails_at_a_look_is_tried_once_and_keeps_its_arms_from_going_on(tmp_path):
    study, scheduler = study_of(
        tmp_path, lambda arm, seed: None if (arm, seed) == ("plain", 1) else undecided(arm, seed)
    )
    results = study.run(scheduler=scheduler)
    assert [len(stage) for stage in scheduler.stages] == [6]
    assert results.verdicts[0].sentence == "normalized and plain cannot be compared: plain: seed 1 failed."
    mended = Recorder(undecided)
    study.run(scheduler=mended)
    assert mended.stages[0] == ["plain seed 1"]
    assert [len(stage) for stage in mended.stages] == [1, 2, 4]


def test_seeds_beyond_the_plan_are_judged_by_the_sequence(tmp_path):
    study, scheduler = study_of(tmp_path, undecided, STUDY.replace("seeds: 2", "seeds: 3"))
    study.run(scheduler=scheduler)
    grown, scheduler = study_of(tmp_path, undecided, STUDY.replace("seeds: 2", "seeds: 5"))
    results = grown.run(scheduler=scheduler)
    assert scheduler.stages == [["plain seed 3", "plain seed 4", "normalized seed 3", "normalized seed 4"]]
    assert results.design.seeds == (0, 1, 2)
    assert results.verdicts[0].beyond_plan == 2
    assert [look.seeds for look in results.study.looks_taken] == [3, 5]
    assert results.notes == (
        "The plan was changed after the first results: seeds changed from 0 to 2 to 0 to 4, after 6 finished runs.",
    )


def test_a_plan_of_one_seed_fixes_no_seeds(tmp_path):
    """A trial: one difference says nothing of the spread, so nobody can choose by it when to look."""
    study, scheduler = study_of(tmp_path, undecided, STUDY.replace("seeds: 2", "seeds: 1"))
    study.run(scheduler=scheduler)
    grown, scheduler = study_of(tmp_path, undecided, STUDY.replace("seeds: 2", "seeds: 5"))
    results = grown.run(scheduler=scheduler)
    assert results.design.seeds == (0, 1, 2, 3, 4)
    assert results.verdicts[0].beyond_plan == 0


def test_two_seeds_are_a_plan_and_what_follows_is_judged_by_the_sequence(tmp_path):
    """Whoever chooses the number of seeds after two differences can be wrong in 8 % of studies."""
    study, scheduler = study_of(tmp_path, undecided, STUDY)
    study.run(scheduler=scheduler)
    grown, scheduler = study_of(tmp_path, undecided, STUDY.replace("seeds: 2", "seeds: 6"))
    results = grown.run(scheduler=scheduler)
    assert results.design.seeds == (0, 1)
    verdict = results.verdicts[0]
    assert (verdict.looks, verdict.beyond_plan) == ((), 6)
    spread = np.hypot(np.std(list(verdict.differences.values()), ddof=1), 100 / 60 / 6**0.5)
    assert verdict.interval.half == pytest.approx(sequence_factor(6, 0.05) * spread)
    assert "(all of them outside the planned looks, so judged by a rule that holds at any number)" in verdict.sentence


def test_comparisons_that_were_ever_planned_count(tmp_path):
    text = STUDY.replace("seeds: 2", "seeds: 3") + "  wide: {network.layers: conv8 pool fc8}\n"
    study, scheduler = study_of(tmp_path, undecided, text)
    first = study.run(scheduler=scheduler)
    assert first.verdicts[0].comparisons == 2
    fewer, scheduler = study_of(tmp_path, undecided, text, "compare=[wide - plain]")
    assert fewer.run(scheduler=scheduler).verdicts[0].comparisons == 2
    other, scheduler = study_of(tmp_path, undecided, text, "compare=[normalized - wide, plain - wide]")
    results = other.run(scheduler=scheduler)
    assert results.verdicts[0].comparisons == 3  # plain - wide is wide - plain
    assert results.design.added == {"test accuracy": ("normalized - wide", "plain - wide")}
    losses, scheduler = study_of(tmp_path, undecided, text, "metric=test loss", "matters=0.01")
    assert losses.run(scheduler=scheduler).verdicts[0].comparisons == 5


def test_a_design_that_was_edited_is_said(tmp_path):
    study, scheduler = study_of(tmp_path, undecided)
    study.run(scheduler=scheduler)
    path = study.folder / "study.yaml"
    content = yaml.safe_load(path.read_text())
    assert content["design"]["hash"] == Results.read(study.folder).design.content_hash
    content["design"]["matters"] = 5.0
    path.write_text(yaml.safe_dump(content))
    assert Results.read(study.folder).notes == (
        "The design in the study's folder was edited: it does not have the hash that it was written with.",
    )


def test_the_design_is_fixed_by_the_first_result_and_not_before(tmp_path):
    study, scheduler = study_of(tmp_path, lambda arm, seed: None)
    study.run(scheduler=scheduler)
    changed, scheduler = study_of(tmp_path, undecided, LOOKS, "matters=2")
    results = changed.run(scheduler=scheduler)
    assert (results.design.matters, results.study.replanned) == (2, ())
    once_more, scheduler = study_of(tmp_path, undecided, LOOKS, "matters=3")
    later = once_more.run(scheduler=scheduler)
    assert (later.design.matters, later.study.matters) == (2, 3)
    assert later.study.replanned == ("matters changed from 2 to 3, after 12 finished runs",)


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        ("{looks: [2, 5]}", "looks must start with 3 seeds or more, the fewest that give a verdict, got 2"),
        ("{looks: [5, 5]}", "looks must grow from each to the next, got [5, 5]"),
        ("{looks: []}", "looks must be numbers of seeds, [3, 5, 8], got []"),
        ("{looks: 5}", "looks must be numbers of seeds, [3, 5, 8], got 5"),
        ("{looks: [3, 1001]}", "must be at most 1,000 seeds, got 1,001"),
        ("{look: [3, 5]}", "has one key, looks: [3, 5, 8], got look"),
        (f"{{looks: {list(range(3, 24))}}}", "looks must be at most 20, got 21"),
    ],
)
def test_looks_that_are_wrong_are_refused_in_one_sentence(tmp_path, seeds, message):
    with pytest.raises(ConfigError, match=re.escape(f"study.yaml, line 10: seeds: {message}")):
        load(write_study(tmp_path, STUDY.replace("seeds: 2", f"seeds: {seeds}")))


def test_looks_without_a_comparison_are_refused(tmp_path):
    with pytest.raises(
        ConfigError, match="looks end when every comparison is decided, and none is planned; add 'compare'"
    ):
        load(write_study(tmp_path, LOOKS + "compare: []\n"))


def test_a_study_with_looks_is_read_again_from_its_folder_and_from_its_page(tmp_path):
    from striate.core import config
    from striate.report.study_facts import study_yaml
    from striate.studies.study import read_study

    study, scheduler = study_of(tmp_path, undecided)
    study.run(scheduler=scheduler)
    assert load(study.folder).study.looks == (3, 4, 6)
    printed = study_yaml(Results.read(study.folder).study)
    assert "looks_taken" not in printed
    again, _, _ = read_study(config.parse(printed, "study.yaml"))
    assert (again.looks, again.seeds) == ((3, 4, 6), tuple(range(6)))


# --- images and other metrics, from the files of runs


def test_images_are_read_from_the_predictions_of_the_runs(tmp_path):
    """Images are easy or hard for all seeds of an arm, so others would give another difference."""
    rng = np.random.default_rng(0)
    difficulty = {arm: rng.random(60) for arm in ("plain", "normalized")}

    def right(arm, seed):
        return difficulty[arm] < (0.9 if arm == "normalized" else 0.65) + 0.02 * (seed % 2)

    study, scheduler = study_of(tmp_path, right, STUDY.replace("seeds: 2", "seeds: 3"))
    verdict = study.run(scheduler=scheduler).verdicts[0]
    assert verdict.new_images.half > verdict.interval.half
    assert verdict.spread.only_first > verdict.spread.only_second
    for path in study.folder.rglob("predictions.npz"):
        path.write_bytes(b"broken")
    assert Results.read(study.folder).verdicts[0].new_images is None


@pytest.mark.parametrize(
    ("metric", "matters", "label"),
    [
        ("test accuracy", None, "clearly better"),
        ("balanced accuracy", None, "clearly better"),
        ("accuracy of class 1", None, "clearly better"),
        ("test loss", 0.05, "clearly better"),
        ("training time", 5, "clearly worse"),
        ("images a second", 5, "no difference that matters"),
        ("epochs to 85 %", 20, "trains more often"),
        ("validation accuracy", None, "clearly better"),
    ],
)
def test_any_number_of_a_run_can_be_judged(tmp_path, metric, matters, label):
    rng = np.random.default_rng(0)
    options = [f"metric={metric}", *([f"matters={matters}"] if matters else [])]
    study, scheduler = study_of(
        tmp_path,
        lambda arm, seed: rng.random(60) < (0.95 if arm == "normalized" else 0.6),
        STUDY.replace("seeds: 2", "seeds: 5"),
        *options,
    )
    verdict = study.run(scheduler=scheduler).verdicts[0]
    assert verdict.label == label
    assert verdict.metric.name == metric


def test_a_metric_without_points_needs_what_matters(tmp_path):
    with pytest.raises(ConfigError, match=r"matters: must be given with 'metric: training time', in percent"):
        load(write_study(tmp_path, STUDY), "metric=training time")


def test_an_unknown_metric_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(
        ConfigError, match=r"metric: must be a number of a run, got 'test acuracy'; did you mean 'test accuracy'\?"
    ):
        load(write_study(tmp_path, STUDY), "metric=test acuracy")
