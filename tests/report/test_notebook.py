"""The answer of a study in a notebook and in a terminal: verdicts, what failed, and a line for each arm."""

import re
import statistics
from html.parser import HTMLParser

import pytest

from striate.cli.results import MOST_ARMS, print_results
from striate.studies import display
from striate.studies.results import Results
from striate.verdicts.summaries import interval_of, mean_of
from tests.report import folders
from tests.report.test_metrics import SECONDS, study


class Parser(HTMLParser):
    def __init__(self, source):
        super().__init__()
        self.tags, self.cells, self.text = [], [], ""
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in {"td", "th"}:
            self.cells.append("")

    def handle_data(self, data):
        self.text += data
        if self.cells:
            self.cells[-1] += data


def test_a_notebook_shows_the_verdict_and_a_dot_for_each_run(two):
    shown = Parser(two._repr_html_())
    verdict = two.verdicts[0]
    assert f"{verdict.label}: {verdict.comparison}{verdict.sentence}" in shown.text
    mean = statistics.fmean((95.1, 94.4, 94.8))
    assert shown.cells[6:8] == ["plain", f"{mean:.1f} %"]
    assert [tag for tag, _ in shown.tags].count("circle") == 6
    assert not {tag for tag, _ in shown.tags} & {"script", "style", "link", "img"}
    assert "6 of 6 runs have ended" in shown.text


def test_names_are_text_in_a_notebook(tmp_path):
    name = "<script>alert(1)</script>"
    results = Results.read(
        folders.two_arms(tmp_path / "s", arms={name: {}, "normalized": {"network.norm": "batch"}}, compare=None)
    )
    assert "<script" not in results._repr_html_()


def test_what_failed_is_named(troubled):
    text = Parser(troubled._repr_html_()).text
    assert "7 of 12 runs have ended" in text
    for run in ("normalized seed 1: failed", "normalized seed 2: unfinished", "fast seed 0: diverged"):
        assert run in text


def test_many_arms_stay_short(tmp_path):
    results = Results.read(folders.many(tmp_path / "s", arms=60, seeds=3, epochs=2))
    shown = results._repr_html_()
    assert len(shown.encode()) < 60_000
    assert f"and {60 - display.MOST_ARMS} more arms" in shown


def test_a_study_without_a_result_is_shown(tmp_path):
    results = Results.read(folders.write_study(tmp_path / "s"))
    assert "<table>" not in results._repr_html_()
    assert "0 of 6 runs have ended" in results._repr_html_()


def test_the_terminal_has_one_small_table(two, capsys):
    print_results(two)
    out = capsys.readouterr().out
    assert two.verdicts[0].sentence in out.replace("\n", " ")
    *_, head, plain, normalized = out.rstrip("\n").splitlines()
    assert re.split(r"\s{2,}", head.strip())[:5] == ["arm", "test accuracy", "deviation", "95 % interval", "seeds"]
    assert re.split(r"\s{2,}", plain.strip())[:2] == ["plain", "94.8 %"]
    assert normalized.startswith("normalized")


def test_the_table_is_in_the_metric_of_the_study(tmp_path, capsys):
    print_results(study(tmp_path / "s", "training time", 10))
    out = capsys.readouterr().out
    mean = statistics.geometric_mean(SECONDS["plain"])
    assert re.search(rf"plain +{mean:.3g} s", out)
    assert "training time  deviation" in out


def test_a_terminal_s_table_ends_and_says_so(tmp_path, capsys):
    print_results(Results.read(folders.many(tmp_path / "s", arms=60, seeds=3, epochs=2)))
    assert f"and {60 - MOST_ARMS} more arms; the report has all" in capsys.readouterr().out


@pytest.mark.parametrize("scale", ["percent", "plain", "ratio"])
def test_an_arm_s_mean_lies_in_its_interval(scale):
    from striate.verdicts import Metric

    metric, values = Metric(scale=scale), [90.0, 92.0, 97.0]
    of = interval_of(values, metric, 1000)
    assert of.low < mean_of(values, metric) < of.high
    assert mean_of(values, metric) == pytest.approx(
        statistics.geometric_mean(values) if scale == "ratio" else statistics.fmean(values)
    )
