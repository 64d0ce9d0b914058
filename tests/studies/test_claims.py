"""Claims in a study file: how they are read, and what is said of them from run folders."""

import pytest

from striate.core.errors import ConfigError
from striate.studies.claims import Claim
from striate.studies.loaded import load
from striate.studies.relations import read_relation
from striate.studies.results import Results
from tests.report import folders
from tests.studies.conftest import STUDY, write_study


@pytest.mark.parametrize(
    ("text", "better", "worse", "more"),
    [
        ("relu is best", "relu", "", {}),
        ("relu is worst in test loss", "", "relu", {"metric": "test loss"}),
        ("a is better than b", "a", "b", {}),
        ("a is worse than b in test loss", "b", "a", {"metric": "test loss"}),
        ("a is better than b by 1.2", "a", "b", {"target": 1.2, "rounding": pytest.approx(0.05)}),
        ("a is better than b in balanced accuracy by 2 +- 1", "a", "b", {"target": 2, "tolerance": 1}),
        ("norm=batch lr=0.1 is as good as norm=none lr=0.1", "norm=batch lr=0.1", "norm=none lr=0.1", {"is_equal": True}),
        ("a is as good as b +- 2", "a", "b", {"is_equal": True, "tolerance": 2}),
        ("a takes longer than b", "b", "a", {"metric": "training time"}),
        ("a takes 1.3 times as long as b", "a", "b", {"metric": "training time", "is_times": True, "target": 1.3}),
        ("a has 2 times the images a second of b +- 0.2", "a", "b", {"metric": "images a second", "target": 2, "tolerance": 0.2}),
    ],
)  # fmt: skip
def test_each_form_of_a_relation_is_read(text, better, worse, more):
    relation = read_relation(text)
    assert (relation.better, relation.worse) == (better, worse)
    assert {key: getattr(relation, key) for key in more} == more


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a beats b", r"relation: must be one of A is best .*; got 'a beats b'"),
        ("a is best in beauty", "must be a number of a run, got 'beauty'"),
        ("a is better than a", "compares 'a' with itself"),
        ("a is better than b in training time by 3", "training time is compared by ratios; write 'A has 1.3 times"),
        ("a has 2 times the test accuracy of b", "test accuracy is compared by differences; write 'A is better than B"),
    ],
)
def test_a_relation_that_says_nothing_is_refused(text, error):
    with pytest.raises(ConfigError, match=error):
        read_relation(text)


def test_an_arm_may_be_called_like_a_key_of_a_claim():
    claim = Claim.model_validate({"says": "x", "relation": 88.0, "differs": "87 +- 2"})
    assert claim.values == {"relation": 88.0, "differs": 87.0}
    assert claim.tolerances == {"differs": 2.0}


def test_a_relation_names_arms_of_the_study(tmp_path):
    text = STUDY + "claims: [{says: x, relation: plain is better than normed}]\n"
    with pytest.raises(ConfigError, match="names an unknown arm 'normed'; did you mean 'normalized'"):
        load(write_study(tmp_path, text))


def claims(tmp_path, *texts, **changes):
    return Results.read(folders.two_arms(tmp_path / "s", claims=list(texts), **changes)).claims


@pytest.mark.parametrize(
    ("claim", "word"),
    [
        ({"plain": "94.8 +- 3", "normalized": "96.7 +- 3"}, "holds"),
        ({"plain": 60}, "does not hold"),
        ({"plain": 60, "normalized": "96.7 +- 3"}, "does not hold"),
        ({"relation": "normalized is best"}, "holds"),
        ({"relation": "plain is better than normalized"}, "does not hold"),
        ({"relation": "normalized is better than plain by 2 +- 1.9"}, "holds"),
        ({"relation": "normalized takes 3 times as long as plain"}, "does not hold"),
        ({"relation": "normalized takes 1 times as long as plain"}, "holds"),
        ({}, "not comparable"),
        ({"relation": "normalized is best", "differs": "150 epochs there", "plain": 94.8}, "not comparable"),
    ],
)
def test_claims_are_judged_by_the_runs(tmp_path, claim, word):
    """Planted: normalized is better by about two points, plain has 94.8 %, and both take as long."""
    (verdict,) = claims(tmp_path, {"says": "so it is", **claim})
    assert verdict.word == word, verdict.sentence


def test_the_settings_of_a_claim_are_named_where_they_differ(tmp_path):
    accuracy, order = claims(
        tmp_path,
        {"says": "a", "plain": 94.8, "differs": "150 epochs there"},
        {"says": "b", "relation": "normalized is best", "differs": "150 epochs there"},
        overridden={"recipe.epochs": 4},
    )
    assert accuracy.sentence == (
        "plain 94.8 %: not comparable, as settings differ (150 epochs there; here recipe.epochs=4)."
    )
    assert order.sentence.endswith("The claim was made with other settings: 150 epochs there; here recipe.epochs=4.")


def test_settings_from_the_command_line_are_kept_with_the_claims(tmp_path):
    path = write_study(tmp_path, STUDY + "claims: [{says: x, plain: 80}]\n")
    study = load(path, "recipe.epochs=2", "name=other", "data=squares.npz")
    assert study.study.overridden == {"recipe.epochs": 2}
    assert study.document.data["overridden"] == {"recipe.epochs": 2}
    assert load(write_study(tmp_path, STUDY), "recipe.epochs=2").study.overridden == {}
