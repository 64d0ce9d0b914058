"""The page of answers says what the files of results say, and nothing else."""

import importlib.util
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from making import drawing, facts, page, result_file
from making.questions import Question, questions

from striate.studies.loaded import built_in, load
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
    return Question("asked", ("C5",), results.study, results, is_built_in=False)


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
    assert "A study of its own, `asked.yaml`:\n\n```yaml\nquestion: Does batch" in text
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
    question = "**Does batch normalization help, and by how much?** "
    line = page.headline(pick, [example], computed)
    assert line.startswith(f"{question}Undecided: normalized 90.3 %, plain 85.6 % (+4.8, 95 % interval")
    assert line.endswith(" Report C: “84 and 91 %”. [C5](docs/answers.md#asked)")
    line = page.headline({"study": "asked", "claim": 1}, [example], computed)
    assert line.startswith(f"{question}Report C: “better with it” undecided: normalized − plain: +4.8 points (−13.7")
    assert page.headline(pick, [replace(example, results=None)], computed) == ""


def test_the_command_has_what_differs_from_the_study_of_today():
    now = load("does-momentum-help", size="full").study
    ran = load("does-momentum-help", "recipe.epochs=2", "data=elsewhere", seeds=4, size="full").study
    assert page.differences(now, now) == {}
    changed = page.differences(ran.replace(looks=()), now)
    assert changed == {"recipe.epochs": 2, "seeds": [0, 1, 2, 3]}
    assert page._option("seeds", [0, 1, 2, 3]) == "--seeds 4"
    assert page._option("seeds", [5, 7]) == "'seeds=[5, 7]'"


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


def test_a_study_of_ones_own_needs_a_row(tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    file = folder / f"own{result_file.SUFFIX}"
    file.write_bytes(result_file.pack(folders.two_arms(tmp_path / "own"))[1])
    with pytest.raises(ValueError, match=r"has results of own, whose study has no row; give it one"), questions(folder):
        pass
    file.write_bytes(result_file.pack(folders.two_arms(tmp_path / "owner", row="B9"))[1])
    with questions(folder) as found:
        own = next(question for question in found if question.name == "own")
        text = page.section(own)
    assert text.startswith('<a id="own"></a>\n## B9. ')
    assert "A study of its own, `own.yaml`:\n\n```yaml\nquestion: " in text
    assert len(found) > 20


def test_the_notes_name_studies_that_there_are(asked):
    notes = yaml.safe_load((DOCS / "results" / "notes.yaml").read_text())
    picked = [pick["study"] for pick in notes["surprising"] if "study" in pick]
    assert {*notes["not measured"], *notes["remarks"], *picked} <= {question.name for question in asked}
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
