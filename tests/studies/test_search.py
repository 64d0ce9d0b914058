"""A search: what it chooses and by what, that it resumes, and that nothing is reported before fresh seeds have run."""

import shutil

import pytest

from striate.core.errors import ConfigError, NetworkError, StudyError
from striate.runs import layout
from striate.studies.loaded import LoadedStudy, load
from striate.studies.results import Results
from striate.studies.search import find
from striate.studies.search_space import Search
from tests.contracts.scheduler import InlineScheduler
from tests.needs import needs_package
from tests.report import folders
from tests.studies.conftest import STUDY, write_study


@pytest.fixture(autouse=True)
def _optuna():
    needs_package("optuna")


SPACE = Search.model_validate(
    {
        "space": {"recipe.optimizer.lr": {"low": 1e-4, "high": 1.0, "log": True}, "network.norm": ["none", "batch"]},
        "trials": 12,
    }
)
BASE = STUDY[: STUDY.index("arms:")]


def value(changes) -> float:
    """Best at lr = 0.01 with batch norm."""
    import math

    return 90 - 3 * abs(math.log10(changes["recipe.optimizer.lr"]) + 2) + 2 * (changes["network.norm"] == "batch")


def run(search, folder, of=value, settings="a", stop_at=None):
    tried = []

    def train(number, changes):
        if number == stop_at:
            return None
        tried.append((number, dict(changes)))
        accuracy = of(changes)
        return (accuracy - 0.1, accuracy + 0.1)

    return find(search, settings, folder, train), tried


def test_the_two_best_settings_are_found(tmp_path):
    (found, winner, runner_up), tried = run(SPACE, tmp_path)
    ranked = sorted((changes for _, changes in tried), key=value, reverse=True)
    assert (winner, runner_up) == (ranked[0], ranked[1])
    assert found.winner.validation_accuracy == pytest.approx(value(winner))
    assert (found.trials, found.failed) == (12, 0)
    assert "fresh seeds" in found.sentence


def test_a_stopped_search_goes_on_as_if_it_had_not_been(tmp_path):
    whole, tried = run(SPACE, tmp_path / "whole")
    stopped, before = run(SPACE, tmp_path / "stopped", stop_at=5)
    assert stopped is None
    resumed, after = run(SPACE, tmp_path / "stopped")
    assert [number for number, _ in after] == list(range(5, 12))
    assert before + after == tried
    assert resumed == whole


def test_trials_can_be_added(tmp_path):
    run(SPACE, tmp_path)
    _, more = run(SPACE.replace(trials=14), tmp_path)
    assert [number for number, _ in more] == [12, 13]


def test_the_trials_of_other_settings_are_refused(tmp_path):
    run(SPACE, tmp_path)
    with pytest.raises(StudyError, match=r"trials\.log: holds the trials of other settings; choose another --out"):
        run(SPACE, tmp_path, settings="b")


def test_settings_that_come_again_are_not_trained_again(tmp_path):
    small = Search.model_validate({"space": {"network.norm": ["none", "batch"]}, "trials": 8})
    (_, winner, runner_up), tried = run(
        small, tmp_path, of=lambda changes: 80 + 5 * (changes["network.norm"] == "batch")
    )
    assert len(tried) == 2
    assert (winner, runner_up) == ({"network.norm": "batch"}, {"network.norm": "none"})


def test_settings_that_cannot_be_run_are_counted_and_passed_over(tmp_path):
    def of(changes):
        if changes["network.norm"] == "batch":
            raise NetworkError("no room")
        return value(changes)

    (found, winner, _), _ = run(SPACE, tmp_path, of)
    assert winner["network.norm"] == "none"
    assert found.failed + found.trials == 12
    assert found.failed > 0


def test_a_search_without_two_settings_is_refused(tmp_path):
    def of(changes):
        raise NetworkError("no room")

    with pytest.raises(StudyError, match="needs two different settings that can be run, got 0: no room"):
        run(SPACE, tmp_path, of)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("search: {space: {}}", "search.space: needs a key or more"),
        ("search: {space: {network.norm: [none]}}", "network.norm: needs two values or more, got 1"),
        ("search: {space: {recipe.epochs: {low: 3, high: 1}}}", "low must be below high, got 3 and 1"),
        ("search: {space: {recipe.epochs: {low: 0, high: 1, log: true}}}", "low must be above 0 with 'log'"),
        (
            "search: {space: {recipe.epochs: [1, 2]}}\ngrid: {recipe.epochs: [1, 2]}",
            "give 'search' or 'grid', not both",
        ),
        ("search: {space: {recipe.epochs: [1, 2]}}\ncompare: [a - b]", "take out 'compare', 'claims' and looks"),
    ],
)
def test_a_search_that_is_none_is_refused(tmp_path, text, error):
    with pytest.raises(ConfigError, match=error):
        load(write_study(tmp_path, BASE + text + "\n"))


def test_trials_are_chosen_by_validation_and_never_by_test(tmp_path, monkeypatch):
    """Planted: the settings that are worst on validation are best on the test part."""
    text = BASE + "search: {space: {recipe.batch_size: [8, 16, 32]}, trials: 6, seeds: 2}\n"
    study = load(write_study(tmp_path, text), out=tmp_path / "runs")
    validation, test = {8: 0.7, 16: 0.9, 32: 0.8}, {8: 0.99, 16: 0.3, 32: 0.4}

    def fake(self: LoadedStudy, **options):
        if self.study.is_searching:
            return original(self, **options)
        for arm in self.arms:
            for seed in self.study.seeds:
                size = arm.recipe.batch_size
                if not layout.run_folder(self.folder, arm.name, seed).exists():
                    scores = {"test": test[size], "validation_accuracy": validation[size]}
                    folders.write_run(self.folder, layout.slug(arm.name), seed, **scores)
        self._write(self.study)
        return Results.read(self.folder)

    original = LoadedStudy.run
    monkeypatch.setattr(LoadedStudy, "run", fake)
    results = study.run()
    assert [arm.recipe.batch_size for arm in results.arms] == [16, 32]
    assert [arm.name for arm in results.arms] == ["winner", "runner-up"]
    assert str(results.study.comparisons[0]) == "winner - runner-up"
    trial_seeds = {
        seed for path in (tmp_path / "runs/study/search").glob("trial-*") for _, seed in layout.runs_in(path)
    }
    assert trial_seeds == {1_000_000, 1_000_001}
    assert not trial_seeds & set(results.study.seeds)
    assert any("Searched" in note and "fresh seeds" in note for note in results.notes)


def test_a_search_trains_stops_and_resumes(tmp_path, study_file):
    """With the engine: stopped in the second trial, then resumed to its end."""
    text = (
        BASE.replace("seeds: 2", "seeds: [0]") + "search: {space: {recipe.batch_size: [8, 16]}, trials: 2, seeds: 1}\n"
    )
    path = write_study(tmp_path, text)
    plans = []
    stopped = load(path, out=tmp_path / "runs").run(
        scheduler=InlineScheduler(), on_plan=plans.append, should_stop=lambda: len(plans) > 1
    )
    assert not stopped.is_complete
    assert stopped.study.is_searching
    results = load(path, out=tmp_path / "runs").run(scheduler=InlineScheduler())
    assert results.is_complete
    assert {arm.recipe.batch_size for arm in results.arms} == {8, 16}
    shutil.rmtree(tmp_path / "runs/study/search")
    assert load(tmp_path / "runs/study").run(scheduler=InlineScheduler()).is_complete  # the folder says what was found
