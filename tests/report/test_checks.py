"""Each check passes, warns and is not applicable where it should; each code has its section in the manual."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from striate.report.checks import CHECKS, checks, in_words
from striate.report.pages import build
from striate.studies.results import Results
from striate.verdicts.records import Spread
from tests.report import folders
from tests.report.reading import Page

MANUAL = Path(__file__).parents[2] / "docs" / "checks.md"


def by_code(results):
    return {check.code: check for check in checks(results)}


def changed(results, **spread):
    """The results with another spread in each verdict."""
    verdicts = tuple(
        dataclasses.replace(v, spread=dataclasses.replace(v.spread, **spread), differences=dict.fromkeys(range(6), 1.0))
        for v in results.verdicts
    )
    copy = dataclasses.replace(results)
    copy.__dict__["verdicts"] = verdicts
    return copy


def test_each_code_has_its_section_in_the_manual():
    sections = re.findall(r"^## (ST\d+): (.+)$", MANUAL.read_text(encoding="utf-8"), re.MULTILINE)
    assert sections == [(code, title) for code, (title, _) in CHECKS.items()]


def test_codes_are_on_the_page_with_links_that_meet_their_sentence(two, two_page):
    page = Page(two_page)
    for check in checks(two):
        assert page.text.count(check.sentence) >= 1
        assert f'href="#check-{check.code}"' in two_page
        assert f'id="check-{check.code}"' in two_page
    assert in_words(checks(two)) in page.text


def test_a_sound_study(two):
    found = {code: (check.status, check.sentence) for code, check in by_code(two).items()}
    assert found["ST001"] == ("passes", "All 6 finished runs tell the classes apart better than a guess.")
    assert found["ST002"] == ("passes", "None of 6 runs diverged.")
    assert found["ST003"][0] == "passes"
    assert found["ST004"][0] == "passes"
    assert found["ST005"][0] == "not applicable"
    assert found["ST006"] == ("passes", "No image of one part is, pixel by pixel, also in another.")
    assert found["ST008"] == ("not applicable", "Fewer than 5 pairs say too little about their correlation.")
    assert found["ST009"] == ("passes", "Arms that are compared have about the same epochs and parameters.")
    assert found["ST010"] == ("passes", "The test images were used once in each run, at its end.")


def test_a_study_with_trouble(troubled):
    found = by_code(troubled)
    assert found["ST001"].status == "warns"
    assert found["ST001"].sentence == "1 of 6 finished runs learned nothing: fast (seed 1)."
    assert found["ST002"].sentence == "1 of 7 runs diverged: fast (seed 0)."


def test_nothing_is_applicable_before_the_first_run(tmp_path):
    results = Results.read(folders.write_study(tmp_path / "s"))
    assert {check.status for check in checks(results)} == {"not applicable"}
    assert in_words(checks(results)) == "10 checks: 10 are not applicable."


@pytest.fixture
def planted(tmp_path):
    """Trained too briefly, overfitted, with dead units and copies, and on other budgets."""
    folder = folders.write_study(tmp_path / "s")
    notes = ["3 images are in the test part and, pixel by pixel, also in the train part"]
    for arm in ("plain", "normalized"):
        for seed in range(3):
            rows = folders.metrics(arm, seed, 0.8, 12 if arm == "plain" else 20)
            rows = [row | {"train_accuracy": row["validation_accuracy"] + 0.15, "dead_units": 40} for row in rows]
            more = {"best_epoch": len(rows), "data": folders.DATA | {"notes": notes}, "test_watched": True}
            more["parameters"] = 1000 if arm == "plain" else 2000
            place = folders.write_run(folder, arm, seed, test=0.8 + 0.01 * seed, metrics=rows, **more)
            (place / "network.json").write_text(json.dumps(_network()), encoding="utf-8")
    return Results.read(folder)


def _network():
    from striate.nets import NetworkConfig
    from striate.nets.graph.from_layers import network_graph
    from striate.nets.summary.table import layer_table

    return layer_table(network_graph(NetworkConfig(layers="conv16 pool conv32 pool fc64"), (1, 8, 8), 10)).to_json()


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (
            "ST003",
            "The best epoch is the last in 3 of 3 runs of plain and 3 of 3 runs of normalized: longer training may give more.",
        ),
        ("ST004", "Training accuracy is 15.0 points above validation accuracy in "),
        ("ST005", "40.0 of 112 channels of plain are 0 on every image of a sample after the last epoch"),
        ("ST006", "3 images are in the test part and, pixel by pixel, also in the train part."),
        (
            "ST009",
            "normalized has 1.7 times the epochs and 2 times the parameters of plain: a difference may come from the budget.",
        ),
        ("ST010", "The test images were evaluated in every epoch: whoever watched may have chosen by them."),
    ],
)
def test_planted_faults_are_found(planted, code, sentence):
    check = by_code(planted)[code]
    assert check.status == "warns"
    assert sentence in check.sentence
    assert sentence in Page(build(planted)).text.replace("\u202f", " ")


def test_the_spread_and_the_pairing(two):
    assert isinstance(two.verdicts[0].spread, Spread)
    wide = by_code(changed(two, differences=0.8, correlation=-0.2))
    assert wide["ST007"].sentence == (
        "The standard deviation of the differences between seeds is 0.8 points for normalized − plain, more than the 0.5 points that "
        "matter: few seeds decide little."
    )
    assert wide["ST008"].sentence == (
        "Pairing by seed saves nothing for normalized − plain (correlation −0.20): the seeds do not move both arms alike."
    )
    narrow = by_code(changed(two, differences=0.3, correlation=0.7))
    assert (narrow["ST007"].status, narrow["ST008"].status) == ("passes", "passes")


def test_an_annealed_learning_rate_ends_at_its_best_epoch_by_design(tmp_path):
    folder = folders.write_study(tmp_path / "s", arms=None, compare=None, seeds=1)
    rows = [row | {"learning_rate": 0.1 / row["epoch"] ** 2} for row in folders.metrics("base", 0, 0.9, 12)]
    folders.write_run(folder, "base", 0, test=0.9, metrics=rows, best_epoch=12)
    check = by_code(Results.read(folder))["ST003"]
    assert check.status == "not applicable"
    assert "by design" in check.sentence
