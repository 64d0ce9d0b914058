"""The page of numbers that no study made."""

import html
import json
import re

import numpy as np
import pytest

from striate.core.errors import ReportError
from striate.report.draw import accuracies_spec
from striate.report.figures import differences_figure, values_figure
from striate.report.judged import arm_of, build, words_of, write
from striate.tables import Choices, Table, judge_table
from striate.tables.judge import Question

SEEDS = range(6)


def table(metric="test_acc", effect=1.0, base=90.0, **facts):
    rows = [(arm, seed, base + effect * (arm == "b") + base * (seed * 7 % 5 + (seed * 3 % 4) * (arm == "b")) / 1000)
            for arm in ("a", "b", "c") for seed in SEEDS]  # fmt: skip
    arms, seeds, values = zip(*rows, strict=True)
    return Table.of("/home/secret/results.csv", "CSV", {"arm": arms, "seed": seeds, metric: values}, **facts)


@pytest.fixture
def without_charts(monkeypatch):
    """Drawing takes a second."""
    monkeypatch.setattr("striate.report.svg.is_available", lambda: False)


def text(page):
    """What a reader reads."""
    body = re.sub(r"<(style|svg).*?</\1>", "", page[page.index("<body") :], flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split()).replace("\N{NO-BREAK SPACE}", " ")


def test_the_page_says_what_the_terminal_says(without_charts):
    judged = judge_table(table())
    shown = text(build(judged))
    for verdict in judged.verdicts:
        assert verdict.sentence.replace(" -", " \N{MINUS SIGN}") in shown
    for _, read in judged.mapping:
        assert read in shown
    assert "results.csv" in shown
    assert "/home/secret" not in shown
    assert "0.5 points of test accuracy" in shown


def test_the_same_numbers_give_the_same_bytes():
    """Charts too."""
    assert build(judge_table(table())) == build(judge_table(table()))


def test_the_page_of_a_loss_has_its_unit_and_its_direction(without_charts):
    judged = judge_table(table("test_loss", effect=-0.05, base=0.5), question=Question(matters=0.01))
    page = text(build(judged))
    assert words_of(judged).digits == 3
    assert "The whole confidence interval is below \N{MINUS SIGN}0.01, or above +0.01." in page
    assert "point" not in page.replace("points to", "")
    assert f"{judged.arms[0].values[0]:.4f}" in page


def test_the_page_of_a_time_has_ratios():
    judged = judge_table(table("train_seconds", effect=30, base=100.0))
    page = text(build(judged))
    assert "difference of train seconds (%)" in build(judged)
    assert "test images" not in page
    mean = judged.verdicts[0].first_mean
    assert f"{mean:.3g} s" in page
    assert f"+{judged.verdicts[0].interval.mean:.1f}" in page


def test_the_band_of_a_ratio_is_that_of_the_verdict():
    judged = judge_table(table("train_seconds", effect=30, base=100.0), question=Question(matters=100))
    assert differences_figure(judged.verdicts, 100, judged.seeds, words_of(judged)).band == (-50, 100)


def test_what_a_table_says_is_escaped(without_charts):
    rows = [(arm, seed, 90 + seed * (arm != "a")) for arm in ("a", "<script>alert(1)</script>") for seed in SEEDS]
    arms, seeds, values = zip(*rows, strict=True)
    page = build(
        judge_table(Table.of("x<b>.csv", "CSV", {"<i>": arms, "seed": seeds, "acc": values}), Choices(arm=("<i>",)))
    )
    assert not re.search(r"<(script|i|b)>", page)


def test_a_chart_of_many_runs_has_few_dots():
    generator = np.random.default_rng(0)
    arms, seeds = zip(*((f"arm {arm}", seed) for arm in range(100) for seed in range(120)), strict=True)
    judged = judge_table(
        Table.of("big.csv", "CSV", {"arm": arms, "seed": seeds, "acc": generator.normal(90, 1, 12_000).tolist()})
    )
    words = words_of(judged)
    figure = values_figure(tuple(arm_of(arm, words) for arm in judged.arms), judged.seeds, words)
    assert json.dumps(accuracies_spec(figure, 700)).count('"shape"') == 100 * 40
    assert "Where there are more than 40 runs in a row, only some are drawn." in figure.caption
    assert figure.table.note == "The table leaves out the values of the 120 seeds"
    assert figure.arms[0].n == 120


def test_a_page_without_charts_has_its_tables(without_charts):
    page = build(judge_table(table()))
    assert "<svg" not in page
    assert "Tables replace the charts" in page


def test_no_file_of_others_is_replaced(tmp_path, without_charts):
    judged, path = judge_table(table()), tmp_path / "page.html"
    write(judged, path)
    write(judged, path)  # its own page it does replace
    path.write_text("my notes")
    with pytest.raises(ReportError, match="exists and is no page of Striate, so it was not replaced"):
        write(judged, path)
    with pytest.raises(ReportError, match="is a folder"):
        write(judged, tmp_path)
    with pytest.raises(ReportError, match="is in a folder that does not exist"):
        write(judged, tmp_path / "none" / "page.html")
    assert path.read_text() == "my notes"
