"""Looks, the design and its changes on the page."""

import pytest

from striate.report import sections, seeds
from striate.report.pages import build
from striate.studies.results import Results
from tests.report import folders
from tests.report.reading import Page

LOOKS = [
    {"date": "2026-03-01", "seeds": 3, "comparisons": ["normalized - plain"]},
    {"date": "2026-03-04", "seeds": 5, "comparisons": ["normalized - plain"]},
]


def planned(folder, **changes):
    """A study with a design that was fixed, and what was changed afterwards."""
    results = Results.read(folders.two_arms(folder, seeds={"looks": [3, 5]}))
    design = results.study.plan_of(results.arms).replace(date="2026-03-01").sealed()
    folders.write_study(
        folder, seeds={"looks": [3, 5]}, looks_taken=LOOKS, design=design.model_dump(mode="json") | changes.pop("design", {}),
        **changes,
    )  # fmt: skip
    return Results.read(folder)


@pytest.fixture
def without_charts(monkeypatch):
    """Drawing takes a second."""
    monkeypatch.setattr("striate.report.svg.is_available", lambda: False)


def test_the_page_prints_each_look_and_the_hash_of_the_design(tmp_path, without_charts):
    results = planned(tmp_path / "s")
    page = Page(build(results))
    assert page.tables["Looks taken"][1:] == [
        ["2026-03-01", "3", "normalized \N{MINUS SIGN} plain"],
        ["2026-03-04", "5", "normalized \N{MINUS SIGN} plain"],
    ]
    assert results.study.design
    assert f"Hash of the design {results.study.design.hash} Changed since Nothing." in page.text
    assert "was edited" not in page.text


def test_changes_of_the_design_are_listed_with_the_answer_too(tmp_path, without_charts):
    change = "matters changed from 1 to 0.5, after 6 finished runs"
    added = {"test loss": ["normalized - plain"]}
    results = planned(tmp_path / "s", replanned=[change], design={"added": added})
    facts = dict(seeds.design(results))
    assert facts["Changed since"] == f"{change}."
    assert facts["Comparisons added"].startswith("normalized \N{MINUS SIGN} plain (test loss).")
    assert sections.notes(results) == (f"The plan was changed after the first results: {change}.",)
    page = Page(build(results))
    assert page.text.index(change) < page.text.index("10 checks")


def test_a_design_that_somebody_edited_is_named(tmp_path):
    results = planned(tmp_path / "s", design={"matters": 0.4})
    assert "does not have the hash that it was written with" in dict(seeds.design(results))["Hash of the design"]
    assert "does not have the hash" in " ".join(sections.notes(results))


def test_before_the_first_result_there_is_no_design(tmp_path):
    results = Results.read(folders.write_study(tmp_path / "s"))
    assert seeds.design(results) == ()
    assert seeds.looks_taken(results) is None


def test_seeds_that_only_one_arm_has_are_named(tmp_path, without_charts):
    folder = folders.two_arms(tmp_path / "s")
    folders.write_run(folder, "plain", 7, test=0.95)
    results = Results.read(folder)
    (row,) = seeds.looks(results).rows
    assert row[-1] == "seed 7 of plain"
    assert "seed 7 of plain" in Page(build(results)).text
