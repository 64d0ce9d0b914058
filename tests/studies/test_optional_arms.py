"""Arms that may be left out where their engine is missing: what goes with them, and what is said."""

import pytest

from striate.core.errors import ConfigError, MissingExtra
from striate.runs import layout
from striate.studies.loaded import load
from tests.contracts.scheduler import InlineScheduler
from tests.studies.conftest import STUDY, write_study

WITH_GPU = """\
  gpu: {recipe.engine: cupy}
optional: [gpu]
compare: [normalized - plain, gpu - plain]
claims:
  - {says: fast, relation: gpu takes 0.5 times as long as plain}
  - {says: accurate, gpu: 90}
  - {says: good, plain: 90}
"""


@pytest.fixture
def optional(tmp_path):
    return write_study(tmp_path, STUDY + WITH_GPU)


def test_an_optional_arm_is_left_out_with_its_comparisons_and_claims(optional, tmp_path):
    study = load(optional, out=tmp_path / "runs")
    assert [arm.name for arm in study.arms] == ["plain", "normalized"]
    assert list(map(str, study.study.comparisons)) == ["normalized - plain"]
    assert [claim.says for claim in study.study.claims] == ["good"]
    assert "cupy needs cupy" in study.study.left_out["gpu"]


def test_what_was_left_out_is_said_beside_the_results(optional, tmp_path):
    results = load(optional, "recipe.epochs=1", out=tmp_path / "runs").run(scheduler=InlineScheduler())
    assert results.is_complete
    assert any(note.startswith("The arm 'gpu' is left out") for note in results.notes)


def test_an_optional_arm_that_can_be_trained_stays(optional, monkeypatch):
    monkeypatch.setattr("striate.engines.select.check", lambda *parts: None)
    study = load(optional).study
    assert list(study.arms) == ["plain", "normalized", "gpu"]
    assert study.left_out == {}


def test_an_optional_arm_that_has_runs_stays_on_a_machine_that_cannot_train_it(optional, tmp_path):
    run = tmp_path / "runs" / "study" / "gpu" / "seed-0" / layout.RUN
    run.parent.mkdir(parents=True)
    run.touch()
    study = load(optional, out=tmp_path / "runs")
    assert study.study.left_out == {}
    study.check_engines()


def test_looks_end_at_the_first_where_no_comparison_is_left(tmp_path):
    text = STUDY.replace("seeds: 2", "seeds: {looks: [3, 5]}").replace("  normalized: {network.norm: batch}\n", "")
    path = write_study(tmp_path, text + "  gpu: {recipe.engine: cupy}\noptional: [gpu]\ncompare: [gpu - plain]\n")
    study = load(path).study
    assert (study.seeds, study.looks, study.comparisons) == ((0, 1, 2), (), ())


def test_an_arm_that_is_not_optional_is_refused_as_before(tmp_path):
    path = write_study(tmp_path, STUDY + "  gpu: {recipe.engine: cupy}\n")
    with pytest.raises(MissingExtra, match="cupy needs cupy"):
        load(path).check_engines()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("[plan]", "optional: unknown arm 'plan'; did you mean 'plain'?"),
        ("[plain, normalized]", "optional: one arm or more must not be optional"),
    ],
)
def test_wrong_optional_arms_are_refused(tmp_path, names, message):
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        load(write_study(tmp_path, f"{STUDY}optional: {names}\n"))
