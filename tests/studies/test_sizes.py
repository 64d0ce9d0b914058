"""Sizes of a study: what they replace, where their runs lie, and what is refused."""

import re

import pytest

from striate.core.errors import ConfigError
from striate.report import pages
from striate.runs import layout
from striate.studies.loaded import load
from striate.studies.results import _settings
from tests.contracts.scheduler import InlineScheduler
from tests.studies.conftest import STUDY, write_study

SIZES = """
sizes:
  small: {data.limit: 60, seeds: 3}
  one: {arms: {plain: {}, normalized: {network.norm: layer}}, compare: [normalized - plain]}
"""


@pytest.fixture
def sized(tmp_path):
    return write_study(tmp_path, STUDY + SIZES)


def fingerprints(study):
    return [run.job.fingerprint for run in study.plan().runs]


def test_a_size_replaces_values_and_has_a_folder_of_its_own(sized, tmp_path):
    whole, small = (load(sized, size=size, out=tmp_path / "runs") for size in ("", "small"))
    assert (whole.study.data.limit, small.study.data.limit) == (None, 60)
    assert (small.study.size, small.study.seeds) == ("small", (0, 1, 2))
    assert small.folder.name == f"{whole.folder.name}-small"
    assert small.study.sizes == {}


def test_sizes_change_no_fingerprint_of_the_study_without_one(sized, tmp_path):
    plain = write_study(tmp_path / "plain", STUDY)
    assert fingerprints(load(sized, out=tmp_path / "a")) == fingerprints(load(plain, out=tmp_path / "b"))


def test_the_command_line_comes_after_the_size(sized):
    study = load(sized, "data.limit=90", seeds=4, size="small").study
    assert (study.data.limit, len(study.seeds)) == (90, 4)


def test_a_claim_is_not_compared_with_a_size_of_other_settings(tmp_path):
    path = write_study(tmp_path, STUDY + "claims: [{says: good, plain: 90}]" + SIZES)
    assert load(path, size="small").study.overridden == {"data.limit": 60}
    assert load(path, size="one").study.overridden == {"arms": "other settings of normalized"}
    assert load(path).study.overridden == {}


def test_the_settings_of_a_size_are_told_apart(tmp_path):
    sizes = "sizes: {small: {recipe.optimizer: {name: SGD, lr: 0.1}, network: {layers: conv4, norm: batch}}}"
    study = load(
        write_study(tmp_path, f"{STUDY}\n{sizes}".replace("{network.norm: batch}", "{network.norm: layer}")),
        size="small",
    )
    assert _settings(study.study) == ": recipe.optimizer=SGD(lr=0.1), network=(layers=conv4, norm=batch)"


def test_the_size_is_named_beside_the_results_and_over_the_page(sized, tmp_path, monkeypatch):
    for part in ("_answers", "_background"):
        monkeypatch.setattr(pages, part, lambda *_: {})
    monkeypatch.setattr(pages, "render", lambda **parts: parts["over"])
    results = load(sized, "recipe.epochs=1", size="small", out=tmp_path / "runs").run(scheduler=InlineScheduler())
    assert results.notes[0] == "This is the study's size 'small': data.limit=60."
    assert pages.build(results) == "study, size small"


def test_the_study_in_the_folder_of_a_size_is_that_size(sized, tmp_path):
    small = load(sized, size="small", out=tmp_path / "runs")
    small._write(small.study)
    again = load(small.folder)
    assert again.study == small.study
    assert again.folder == small.folder
    assert load(small.folder, size="small").arms == small.arms
    with pytest.raises(ConfigError, match="has no size 'one'; it has no 'sizes'"):
        load(small.folder, size="one")


def test_a_size_is_not_run_in_the_folder_of_the_study_without_one(sized, tmp_path):
    whole = load(sized, out=tmp_path / "runs")
    whole._write(whole.study)
    assert (whole.folder / layout.STUDY).exists()
    with pytest.raises(ConfigError, match="is no folder of size 'small'; give --size with the study's file or name"):
        load(whole.folder, size="small")


@pytest.mark.parametrize(
    ("sizes", "size", "message"),
    [
        ("sizes: {small: {seeds: 3}}", "smal", "has no size 'smal'; did you mean 'small'?"),
        ("", "small", "has no size 'small'; it has no 'sizes'"),
        ("sizes: {small: {question: Why}}", "", "sizes: small: a size cannot change 'question'"),
        ("sizes: {small: {left_out: {a: b}}}", "", "sizes: small: a size cannot change 'left_out'"),
        ("sizes: {small: {sede: 3}}", "", "sizes: small: a size cannot change 'sede'; did you mean 'seeds'?"),
        (
            "sizes: {small: {recipe.epoch: 3}}",
            "small",
            "size 'small': recipe.epoch: unknown key; did you mean 'epochs'?",
        ),
        ("sizes: {small: 3}", "small", "sizes.small: must be keys and values, got 3"),
    ],
)
def test_a_wrong_size_is_refused_in_one_sentence(tmp_path, sizes, size, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        load(write_study(tmp_path, f"{STUDY}\n{sizes}"), size=size)


def test_a_path_in_a_size_is_relative_to_the_study_file(tmp_path):
    (tmp_path / "few").mkdir()
    path = write_study(
        tmp_path, STUDY + "\nsizes: {small: {data: few}, other: {arms: {a: {data.source: few}, b: {}}, compare: []}}"
    )
    assert load(path, size="small").study.data.source == str(tmp_path / "few")
    assert load(path, size="other").arms[0].data.source == str(tmp_path / "few")
