"""LaTeX tables: they compile, and what is read back from them is what the study has."""

import re
import subprocess

import pytest

from striate.core.errors import ReportError
from striate.report import judged, latex
from striate.runs.layout import slug
from striate.studies.results import Results
from striate.tables import judge_table
from striate.tables.judge import Question
from striate.verdicts.intervals import arm_interval
from tests.needs import needs_program
from tests.report import folders
from tests.report.test_judged import table

HOSTILE = (r"""a\b {x} $5 & #1 100 % x_y^2 ~ <script>|'`\"?""", "[new] --- *star*", "größe Ł 図 😀 שלום þ", "a--b")


def hostile(folder):
    arms = {name: {"recipe.optimizer.lr": 0.001 * (i + 1)} for i, name in enumerate(HOSTILE)}
    folders.write_study(folder, arms=arms, compare=[f"{HOSTILE[1]} - {HOSTILE[0]}"])
    for name in HOSTILE:
        for seed in range(3):
            folders.write_run(folder, slug(name), seed, test=0.9 + 0.01 * seed)
    return Results.read(folder)


def rows(text, label):
    """The cells of a table as one reads them."""
    body = re.search(rf"\\label{{tab:{label}}}.*?\\midrule\n(.*?)\\bottomrule", text, re.DOTALL)[1]
    return [[read(cell) for cell in re.split(r" (?<!\\)& ", line.removesuffix(r" \\"))] for line in body.splitlines()]


def read(cell):
    """What TeX prints for a cell. Apart from the writer: a tokenizer, not the table turned around."""
    words = {
        "textbackslash": "\\", "textasciicircum": "^", "textasciitilde": "~", "textless": "<", "textgreater": ">",
        "textbar": "|", "textasciigrave": "`", "ldots": "…",
    }  # fmt: skip
    token = re.compile(
        r"\\striatechar\{[0-9A-F]+\}\{(?P<letter>.)\}|\\char(?P<code>\d+)\{\}|\\(?P<word>[a-z]+)\{\}|\\(?P<sign>[{}$&#%_])"
        r"|(?P<thin>\\,)|(?P<minus>\$-\$)|(?P<ligature>---?)|(?P<brace>[{}])|(?P<plain>[^\\{}$&#%_^~])"
    )
    text, position = "", 0
    while position < len(cell):
        match = token.match(cell, position)
        assert match, f"TeX would take this for a command: {cell[position:]}"
        position = match.end()
        kind = match.lastgroup
        text += {
            "letter": match["letter"], "code": match["code"] and chr(int(match["code"])), "word": words.get(match["word"]),
            "sign": match["sign"], "thin": "\N{NARROW NO-BREAK SPACE}", "minus": "\N{MINUS SIGN}",
            "ligature": "\N{EN DASH}", "brace": "", "plain": match["plain"],
        }[kind]  # fmt: skip
    return text


def can_read(cell):
    try:
        read(cell)
    except (AssertionError, TypeError):
        return False
    return True


def test_the_tables_have_the_numbers_of_the_page(two, tmp_path):
    latex.write(two, tmp_path / "t.tex")
    text = (tmp_path / "t.tex").read_text(encoding="utf-8")
    arm, n, mean, deviation, span, parameters, seconds = rows(text, "study-results")[0]
    assert (arm, n, mean, deviation, parameters, seconds) == ("plain", "3", "94.8", "0.35", "21\u202f034", "8.2 s")
    interval = arm_interval([95.1, 94.4, 94.8], 360)
    assert [float(end) for end in span.split(" to ")] == pytest.approx([interval.low, interval.high], abs=0.05)
    verdict = two.verdicts[0]
    ((comparison, n, difference, interval, label),) = rows(text, "study-differences")
    assert (comparison, n, label) == ("normalized \N{MINUS SIGN} plain", "3", verdict.label)
    assert float(difference) == pytest.approx(verdict.interval.mean, abs=0.05)
    low, high = (float(end.replace("\N{MINUS SIGN}", "-")) for end in interval.split(" to "))
    assert (low, high) == pytest.approx((verdict.interval.low, verdict.interval.high), abs=0.05)


def test_a_name_is_read_back_as_it_is(tmp_path):
    results = hostile(tmp_path / "s")
    latex.write(results, tmp_path / "t.tex")
    text = (tmp_path / "t.tex").read_text(encoding="utf-8")
    assert tuple(row[0] for row in rows(text, "study-results")) == HOSTILE
    assert rows(text, "study-differences")[0][0] == f"{HOSTILE[1]} \N{MINUS SIGN} {HOSTILE[0]}"


@pytest.mark.parametrize("name", ["%", "$x$", "a & b", r"\input{/etc/passwd}", "x_1", "---"])
def test_the_reader_of_this_test_refuses_what_is_not_escaped(name):
    assert not can_read(name) or read(name) != name
    assert read(latex.escape(name)) == name


def test_they_need_booktabs_alone_and_compile(tmp_path):
    program = needs_program("pdflatex")
    latex.write(hostile(tmp_path / "s"), tmp_path / "t.tex")
    lines = [r"\documentclass{article}", r"\usepackage{booktabs}", r"\begin{document}", r"\input{t}", r"\end{document}"]
    (tmp_path / "doc.tex").write_text("\n".join(lines), encoding="utf-8")
    command = [program, "-interaction=nonstopmode", "-halt-on-error", "doc.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=60)
    assert done.returncode == 0, done.stdout[-2000:]


def test_a_study_without_a_plan_has_no_table_of_differences(tmp_path):
    latex.write(Results.read(folders.two_arms(tmp_path / "s", compare=[])), tmp_path / "t.tex")
    text = (tmp_path / "t.tex").read_text(encoding="utf-8")
    assert len(rows(text, "study-results")) == 2
    assert text.count(r"\begin{tabular}") == 1


def test_a_study_without_results_has_none(tmp_path):
    with pytest.raises(ReportError, match="--latex: no run of study has a result yet"):
        latex.write(Results.read(folders.write_study(tmp_path / "s")), tmp_path / "t.tex")


def test_only_its_own_file_is_replaced(two, tmp_path):
    path = tmp_path / "t.tex"
    latex.write(two, path)
    latex.write(two, path)
    path.write_text("mine")
    with pytest.raises(ReportError, match="was not written by --latex, so it was not replaced"):
        latex.write(two, path)
    with pytest.raises(ReportError, match="is a folder; give a file"):
        latex.write(two, tmp_path)
    with pytest.raises(ReportError, match="in a folder that does not exist"):
        latex.write(two, tmp_path / "no" / "t.tex")


def test_a_loss_and_a_time_are_written_in_their_unit(tmp_path):
    for metric, name, effect, base, matters, expected in (
        ("test_loss", "test loss", -0.05, 0.5, 0.01, "0.501"),
        ("train_time", "train time", 4, 40, 5, "40.16"),
    ):
        numbers = judge_table(table(metric, effect=effect, base=base), question=Question(matters=matters))
        judged.write_tables(numbers, tmp_path / f"{metric}.tex")
        text = (tmp_path / f"{metric}.tex").read_text(encoding="utf-8")
        assert rows(text, "results.csv-results")[0][2].startswith(expected[:3])
        assert f"Differences of {name}" in text
