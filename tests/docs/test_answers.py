"""The page of answers says what the files of results say, and nothing else."""

import importlib.util
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from making import drawing, facts, page, result_file
from making.questions import Question, questions

from striate.studies.loaded import built_in
from striate.studies.results import Results
from tests.report import folders

DOCS = Path(__file__).parents[2] / "docs"
spec = importlib.util.spec_from_file_location("answers", DOCS / "answers.py")
answers = importlib.util.module_from_spec(spec)
spec.loader.exec_module(answers)


@pytest.fixture(scope="module")
def asked():
    with questions(answers.RESULTS) as found:
        yield found


@pytest.fixture(scope="module")
def computed():
    return answers.computed()


@pytest.fixture
def example(tmp_path):
    """A question with results that nobody trained."""
    claims = [
        {"says": "84 and 91 %", "source": "report C, question c", "plain": "84 +- 5", "normalized": "50 +- 1"},
        {"says": "better with it", "source": "report C, question c", "relation": "normalized is better than plain"},
    ]
    results = Results.read(folders.answered(tmp_path / "asked", claims=claims))
    return Question("asked", ("C5",), results.study, results)


def stale(texts):
    return [path.name for path, text in texts.items() if path.read_text(encoding="utf-8") != text]


def test_the_page_and_the_readme_are_what_the_results_say(asked, computed):
    assert stale(answers.texts(asked, computed)) == [], "run: make answers"


def test_each_figure_is_of_the_numbers_that_there_are_now(asked):
    made = answers.figures(asked)
    assert [path.name for path, figure in made.items() if not answers.is_fresh(path, figure)] == [], "run: make answers"
    assert set((DOCS / page.IMAGES).glob("*.svg")) == set(made)


def test_another_number_would_be_found(computed, example):
    text = page.page([example], computed)
    row = example.results.of("plain")[0]
    summary = row.run.summary.replace(test_accuracy=0.5)
    rows = (replace(row, run=replace(row.run, summary=summary)), *example.results.rows[1:])
    changed = replace(example, results=replace(example.results, rows=rows))
    assert page.page([changed], computed) != text
    assert drawing.figures_of(changed.results, "x") != drawing.figures_of(example.results, "x")


def test_a_section_has_verdict_numbers_claims_and_what_it_took(example):
    text = page.section(example)
    assert text.startswith('<a id="asked"></a>\n## C5. Does batch normalization help, and by how much?')
    assert "With 3 seeds each, normalized and plain differ" in text
    assert "| plain | 85.6 % (79.8 to 89.9) |" in text
    assert "“84 and 91 %” (report C, question c): **does not hold**. plain 84 %: undecided." in text
    assert "```\nstriate run asked\n```" in text
    assert "6 runs (seeds 0, 1, 2)" in text
    assert "On a processor." in text


def test_the_table_has_each_claim_with_its_verdict(example):
    holds = [(row.row, row.says, row.verdict) for row in page.claim_rows(example)]
    assert holds == [("C5", "84 and 91 %", "does not hold"), ("C5", "better with it", "undecided")]
    assert page.claim_rows(example)[0].measured.startswith("plain 85.6 % (")


def test_a_question_without_results_says_so(example):
    waiting = replace(example, results=None, why_not="It takes 40 hours.")
    assert "Not measured. It takes 40 hours." in page.section(waiting)
    assert {(row.measured, row.verdict) for row in page.claim_rows(waiting)} == {("It takes 40 hours.", "not measured")}


def test_a_headline_is_one_line_with_its_link(example, computed):
    pick = {"study": "asked"}
    line = page.headline(pick, [example], computed)
    assert line.startswith(
        "**Does batch normalization help, and by how much?** Undecided: normalized 90.3 %, plain 85.6 % (+4.8, 95 % interval"
    )
    assert line.endswith("[C5](docs/answers.md#asked)")
    line = page.headline({"study": "asked", "claim": 1}, [example], computed)
    assert line.startswith("**Report C: “better with it”** Undecided: normalized − plain: +4.8 points (−13.7")
    assert page.headline(pick, [replace(example, results=None)], computed) == ""


@pytest.mark.parametrize(
    ("row", "number", "verdict"),
    [("A1", 1, "does not hold"), ("B8", 0, "holds"), ("B8", 1, "does not hold"), ("B8", 2, "does not hold"), ("E3", 0, "does not hold"),
     ("E3", 1, "holds"), ("E8", 0, "does not hold")],
)  # fmt: skip
def test_what_the_reports_got_wrong_is_measured(computed, row, number, verdict):
    assert [fact for fact in computed if fact.row == row][number].verdict == verdict


def test_every_number_that_needs_no_training_but_the_wrong_ones_holds():
    wrong = {(fact.row, fact.says) for fact in facts.facts() if fact.verdict != "holds"}
    assert {row for row, _ in wrong} == {"A1", "B8", "E3", "E8"}
    assert len(wrong) == 5


def test_another_network_would_be_found(monkeypatch):
    from striate.nets import NETWORKS

    other = replace(NETWORKS["report-d"], config={"layers": "conv64 pool fc10"})
    monkeypatch.setitem(NETWORKS, "report-d", other)
    assert {fact.verdict for fact in facts._shares("report D")} == {"does not hold"}


def test_results_of_an_unknown_study_are_refused(tmp_path):
    (tmp_path / f"nothing{result_file.SUFFIX}").touch()
    with (
        pytest.raises(ValueError, match="has results of nothing, which no built-in study with a row is called"),
        questions(tmp_path),
    ):
        pass


def test_the_notes_name_studies_that_there_are(asked):
    notes = yaml.safe_load((DOCS / "results" / "notes.yaml").read_text())
    named = [*notes["not measured"], *(pick["study"] for pick in notes["surprising"] if "study" in pick)]
    assert set(named) <= set(built_in())
    measured = {question.name for question in asked if question.results}
    assert not measured & set(notes["not measured"])


def test_a_figure_is_readable_on_light_and_dark_pages():
    for path in (DOCS / page.IMAGES).glob("*.svg"):
        text = path.read_text(encoding="utf-8")
        assert "@media (prefers-color-scheme: dark){:root{--paper: #15171a;" in text
        assert 'fill="var(--paper)"' in text


@pytest.mark.slow
def test_the_figures_are_drawn_the_same_again(asked):
    made = answers.figures(asked)
    drawn = drawing.files_of(list(made.values()))
    assert [path.name for path in made if path.read_text(encoding="utf-8") != drawn[path.name]] == []


def test_the_exercises_are_of_studies_that_there_are():
    """And they have the size at which they are to be run."""
    text = (DOCS / "teaching.md").read_text(encoding="utf-8")
    names = re.findall(r"^\| \d+ \|[^|]+\| `([\w-]+)` \|", text, re.MULTILINE)
    studies = built_in()
    assert len(names) == 9
    assert [name for name in names if name not in studies] == []
    assert [name for name in names if name != "quickstart" and "small" not in studies[name].sizes] == []
