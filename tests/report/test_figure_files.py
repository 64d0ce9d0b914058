"""Figures as files: they stand alone, hold the numbers of the run folders, and replace nothing of anybody else."""

import csv
import json
import re
import xml.etree.ElementTree as ElementTree

import pytest
from PIL import Image

from striate.core.errors import ReportError
from striate.report import figure_files, judged, svg
from striate.report.classes import MOST_IN_MATRIX
from striate.report.contents import Figures
from striate.report.figures import accuracies
from striate.report.numbers import Numbers
from striate.studies.results import Results
from striate.tables import judge_table
from tests.report import folders
from tests.report.test_judged import table

NAMES = [
    "accuracies", "calibration", "classes", "confusion", "confusion-best", "confusion-difference", "cost-parameters",
    "cost-seconds", "curves-training-loss", "curves-validation-accuracy", "curves-validation-loss", "differences",
]  # fmt: skip


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    return Results.read(folders.answered(tmp_path_factory.mktemp("studies") / "answered"))


@pytest.fixture(scope="module")
def folder(answered, tmp_path_factory):
    """The figures of a study, written once."""
    folder = tmp_path_factory.mktemp("figures") / "new"
    figure_files.write(answered, folder)
    return folder


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_each_figure_has_its_four_files_and_a_caption(folder):
    expected = [f"{name}.{kind}" for name in NAMES for kind in ("csv", "pdf", "png", "svg")]
    assert sorted(path.name for path in folder.iterdir()) == sorted([*expected, "captions.txt"])
    captions = (folder / "captions.txt").read_text(encoding="utf-8")
    assert captions.startswith("Figures of Striate: study\n")
    assert all(f"\n{name}\n" in captions for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_stands_alone(folder, name):
    source = (folder / f"{name}.svg").read_text(encoding="utf-8")
    root = ElementTree.fromstring(source)
    assert "var(" not in source
    assert "http" not in source.replace("http://www.w3.org/2000/svg", "")
    ids = re.findall(r'\bid="([^"]*)"', source)
    assert len(ids) == len(set(ids))
    width, height = (float(root.attrib[key]) for key in ("width", "height"))
    with Image.open(folder / f"{name}.png") as image:
        assert image.size == pytest.approx((3 * width, 3 * height), abs=3)
        assert image.convert("RGB").getpixel((1, 1)) == (255, 255, 255)
        assert len(image.convert("L").getcolors()) > 20  # something is drawn
    assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("name", ["curves-training-loss", "cost-seconds", "classes", "calibration"])
def test_arms_that_a_chart_does_not_name_are_in_its_key(folder, name):
    texts = [
        element.text for element in ElementTree.parse(folder / f"{name}.svg").iter("{http://www.w3.org/2000/svg}text")
    ]
    assert {"plain", "normalized"} <= set(texts)


def test_the_values_are_those_of_the_run_folders_unrounded(folder, answered):
    by_run = {(row["arm"], row["seed"]): row for row in rows(folder / "accuracies.csv")}
    assert len(by_run) == 6
    for (arm, seed), row in by_run.items():
        summary = json.loads((answered.folder / arm / f"seed-{seed}" / "summary.json").read_text())
        assert float(row["test accuracy"]) == pytest.approx(100 * summary["test_accuracy"], rel=1e-9)
        assert row["trained"] == "yes"
    for row in rows(folder / "differences.csv"):
        difference = [float(by_run[arm, row["seed"]]["test accuracy"]) for arm in (row["first"], row["second"])]
        assert float(row["difference of test accuracy"]) == pytest.approx(difference[0] - difference[1])
        assert (float(row["low"]), float(row["high"])) == pytest.approx(
            (answered.verdicts[0].interval.low, answered.verdicts[0].interval.high)
        )


def test_the_curves_have_every_epoch_of_every_run(folder, answered):
    of_runs = [row for row in rows(folder / "curves-training-loss.csv") if row["seed"]]
    lines = (answered.folder / "plain" / "seed-1" / "metrics.jsonl").read_text().splitlines()
    expected = [json.loads(line)["train_loss"] for line in lines]
    values = [float(row["training loss"]) for row in of_runs if (row["arm"], row["seed"]) == ("plain", "1")]
    assert values == pytest.approx(expected)
    assert len(of_runs) == 6 * 12


def test_the_confusions_add_up_to_the_images(folder):
    counts = rows(folder / "confusion.csv")
    assert len(counts) == 100
    assert sum(int(row["plain"]) for row in counts) == 3 * 400


def test_the_same_study_gives_the_same_bytes(two, tmp_path):
    """But for PDF, whose objects vl-convert writes in any order."""
    for name in "ab":
        figure_files.write_figures(
            Figures(accuracies=accuracies(two)), ["plain", "normalized"], "study", tmp_path / name
        )
    for path in (tmp_path / "a").iterdir():
        again = (tmp_path / "b" / path.name).read_bytes()
        assert path.read_bytes() == again or (path.suffix == ".pdf" and len(again) == path.stat().st_size)


def test_only_its_own_files_are_replaced(two, tmp_path, monkeypatch):
    monkeypatch.setattr(svg, "pictures", lambda charts: {chart.figure: svg.Picture() for chart in charts})
    (tmp_path / "mine.png").write_text("mine")
    figures = Figures(accuracies=accuracies(two))
    for _ in range(2):
        figure_files.write_figures(figures, ["plain", "normalized"], "study", tmp_path)
    assert (tmp_path / "mine.png").read_text() == "mine"
    (tmp_path / "captions.txt").unlink()
    with pytest.raises(
        ReportError, match=r"accuracies.csv: exists and was not written by --figures, so it was not rep"
    ):
        figure_files.write_figures(figures, ["plain", "normalized"], "study", tmp_path)
    with pytest.raises(ReportError, match="is a file; give a folder"):
        figure_files.write_figures(figures, ["plain", "normalized"], "study", tmp_path / "mine.png")


def test_without_vl_convert_it_says_what_to_install(two, tmp_path, monkeypatch):
    monkeypatch.setattr(svg, "is_available", lambda: False)
    with pytest.raises(ReportError, match="pip install vl-convert-python"):
        figure_files.write(two, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_figure_that_cannot_be_drawn_writes_nothing(two, tmp_path, monkeypatch):
    monkeypatch.setattr(svg, "pictures", lambda charts: {c.figure: svg.Picture(failure=svg.CRASHED) for c in charts})
    with pytest.raises(ReportError, match=r"a figure cannot be drawn: the renderer \(vl-convert\) crashed"):
        figure_files.write(two, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_an_svg_that_cannot_be_converted_costs_no_other():
    sound = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    first, broken, last = svg.convert([sound, "<svg", sound])
    assert first == last
    assert first.png.startswith(b"\x89PNG")
    assert broken.failure == svg.CRASHED  # it panics


def test_names_are_text_in_every_file(tmp_path):
    name = 'a <script>alert(1)</script> & "b" var(--c1)'
    arms = {"plain": {}, name: {"network.norm": "batch"}}
    results = Results.read(folders.two_arms(tmp_path / "s", arms=arms, compare=None))
    figure = next(figure_files.figure_files(Figures(accuracies=accuracies(results)), list(arms)))
    sheet = figure_files.sheet(figure)
    texts = [element.text for element in ElementTree.fromstring(sheet).iter("{http://www.w3.org/2000/svg}text")]
    assert any(text and "<script>" in text for text in texts)
    assert "<script" not in sheet


def test_a_csv_holds_any_text_and_every_digit():
    content = Numbers(head=("a,b", "c"), rows=(('x"\n', 1 / 3), (True, None))).as_csv()
    assert content == '"a,b",c\n"x"" ",0.3333333333\nyes,\n'


def test_many_classes_have_their_counts_and_no_matrix(tmp_path):
    results = Results.read(folders.answered(tmp_path / "s", classes=MOST_IN_MATRIX + 1, images=500))
    figures = figure_files.study_figures(results, figure_files.StudyAnswers(results))
    (made,) = figure_files.figure_files(Figures(confusion=figures.confusion), ["plain", "normalized"])
    assert (made.name, made.charts) == ("confusion", ())
    assert len(made.numbers.rows) == (MOST_IN_MATRIX + 1) ** 2


def test_judged_numbers_have_files_too(tmp_path):
    paths = judged.write_figures(judge_table(table()), tmp_path / "f")
    assert {path.stem for path in paths} == {"accuracies", "differences"}
    assert len(rows(tmp_path / "f" / "accuracies.csv")) == 18
