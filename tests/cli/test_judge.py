"""`striate judge`."""

import html
import json
import re
import shlex

import pytest
from markupsafe import Markup

from striate.report import svg
from striate.report.judged import build
from striate.tables import Choices, judge
from striate.tables.judge import Question


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where the page is written
    monkeypatch.setattr("striate.report.svg.is_available", lambda: False)  # drawing takes a second
    path = tmp_path / "results.csv"
    rows = [
        f"{arm},{seed},{90 + effect + seed / 4}" for arm, effect in (("a", 0), ("b", 2), ("c", 0)) for seed in range(8)
    ]
    path.write_text("\n".join(["arm,seed,test_acc", *rows]))
    return path


def test_the_command_prints_how_it_read_the_file_and_the_verdicts(striate, table):
    code, out, _ = striate("judge", table)
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == f"{table}: 3 arms, 8 seeds (CSV)"
    assert lines[1:3] == ["  arm     column 'arm': a, b, c", "  seed    column 'seed': 0, 1, 2, 3, 4, 5, 6, 7"]
    assert [line for line in lines if "clearly better on these test images" in line]
    data = json.loads(striate("judge", table, "--json", "--compare", "b - c")[1])
    assert [verdict["comparison"] for verdict in data["verdicts"]] == ["b - c"]
    assert data["values"]["b"]["1"] == 92.25


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--as", "centimetres"], "--as: must be one of percent, share, plain, ratio, got 'centimetres'"),
        (["--better", "up"], "--better: must be one of higher, lower"),
        (["--at", "first"], "--at: must be last, max, min or a step"),
        (["--matters", "0"], "--matters: must be above 0"),
        (["--matters", "nan"], "--matters: must be above 0"),
        (["--empty", "x"], "--empty: must be one of missing, diverged"),
    ],
)
def test_the_command_refuses_options_that_mean_nothing(words, message, striate, table):
    code, out, error = striate("judge", table, *words)
    assert (code, out) == (1, "")
    assert message in error


def test_the_command_on_the_page_judges_the_same(striate, tmp_path, monkeypatch):
    lines = [
        f"{optimizer},{lr},{seed},{90 + seed * lr + (optimizer == 'Adam') * seed % 3}"
        for optimizer in ("SGD", "Adam") for lr in (0.1, 1) for seed in range(6)
    ]  # fmt: skip
    (tmp_path / "my results.csv").write_text("\n".join(["optimizer,lr,seed,the score", *lines]))
    question = Question(
        better="higher",
        matters=2.5,
        comparisons=9,
        grown=True,
        kind="plain",
        compare=("optimizer=Adam, lr=1 - optimizer=SGD, lr=1",),
    )
    judged = judge(tmp_path / "my results.csv", Choices(arm=("optimizer", "lr")), question)
    page = build(judged)
    (command,) = re.findall(r"<pre[^>]*><code>(.*?)</code>", page, re.DOTALL)
    words = shlex.split(html.unescape(command))
    assert words[:3] == ["striate", "judge", "my results.csv"]
    monkeypatch.chdir(tmp_path)
    code, out, _ = striate(*words[1:])
    assert code == 0
    assert judged.verdicts[0].sentence in out
    assert (tmp_path / "my results-verdicts.html").read_text() == page


def test_the_page_is_written_where_it_is_asked_for(striate, table, tmp_path):
    assert striate("judge", table)[1].splitlines()[-1] == "Report: results-verdicts.html"
    assert "<h1>" in (tmp_path / "results-verdicts.html").read_text()
    code, _, error = striate("judge", table, "--report", table)
    assert (code, "exists and is no page of Striate" in error) == (1, True)
    assert json.loads(striate("judge", table, "--json", "--report", "p.html")[1])["report"] == "p.html"


def test_figures_and_tables_are_written_on_request(striate, table, tmp_path, monkeypatch):
    drawn = svg.Drawing(svg=Markup('<svg viewBox="0 0 9 9"></svg>'))
    monkeypatch.setattr(svg, "is_available", lambda: True)
    monkeypatch.setattr(svg, "render", lambda charts: [drawn for _ in charts])  # drawing takes seconds
    code, out, _ = striate("judge", table, "--figures", "figures", "--latex", "tables.tex")
    assert (code, out.splitlines()[-2:]) == (0, ["Figures: figures", "Tables: tables.tex"])
    assert (tmp_path / "figures" / "differences.pdf").is_file()
    assert r"\begin{tabular}" in (tmp_path / "tables.tex").read_text()
