"""`striate run all`: each study is run, one that fails or lacks something stops no other, and one page has all answers."""

import json
from pathlib import Path

import pytest

from striate.core.errors import Missing
from striate.report.overview import Outcome, build
from striate.studies import loaded
from tests.contracts.scheduler import InlineScheduler
from tests.studies.conftest import STUDY, write_study

SIZES = "sizes: {small: {recipe.epochs: 1, seeds: 3}}\n"
LIBRARY = {
    "a-good": STUDY.replace("seeds: 2", "row: C5\nseeds: 3") + SIZES,
    "b-absent": STUDY.replace("squares.npz", "scenes") + SIZES,
    "c-broken": STUDY.replace("squares.npz", "no/such/folder") + SIZES,
    "d-unsized": STUDY,
}


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Four built-in studies: one that runs, one whose images are the user's, one that is refused, one without the size."""
    folder = tmp_path / "library"
    write_study(folder, STUDY).unlink()
    for name, text in LIBRARY.items():
        (folder / f"{name}.yaml").write_text(text)
    monkeypatch.setattr(loaded, "LIBRARY", folder)
    monkeypatch.setenv("STRIATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("STRIATE_DATA", raising=False)
    monkeypatch.setattr("striate.cli.run_all.train", lambda study, *where: (study.run(scheduler=InlineScheduler()), {}))
    monkeypatch.setattr("striate.cli.run_all.write_report", lambda results: results.folder / "report.html")
    return folder


def only(library, *names):
    for path in library.glob("*.yaml"):
        if path.stem not in names:
            path.unlink()


def test_each_study_is_run_and_one_that_fails_stops_no_other(striate, library, tmp_path):
    code, out, _ = striate("run", "all", "--size", "small", "--out", tmp_path / "runs")
    assert code == 3
    assert "4 studies: 1 finished, 1 left out, 2 failed" in out
    assert "c-broken" in out
    page = (tmp_path / "runs" / "all-small.html").read_text()
    assert 'href="a-good-small/report.html"' in page
    assert "<strong>b-absent</strong>: left out: scenes: not found on this machine" in page
    assert "<strong>d-unsized</strong>: failed: d-unsized.yaml: has no size" in page
    assert "With 3 seeds each" in page


def test_a_defect_in_one_study_keeps_its_traceback_and_stops_no_other(striate, library, tmp_path, monkeypatch):
    only(library, "a-good", "b-absent")
    monkeypatch.setattr("striate.cli.run_all.train", lambda *parts: {}["planted"])
    code, out, err = striate("run", "all", "--size", "small", "--out", tmp_path / "runs")
    assert code == 3
    assert "2 studies: 2 failed" in out
    assert "KeyError: 'planted'" in out
    assert "Traceback" in err


def test_what_is_left_out_is_no_failure(striate, library, tmp_path):
    only(library, "b-absent")
    code, out, _ = striate("run", "all", "--size", "small", "--out", tmp_path / "runs")
    assert code == 0
    assert "b-absent" in out


def test_all_answers_as_json(striate, library, tmp_path):
    only(library, "a-good", "b-absent")
    code, out, err = striate("run", "all", "--size", "small", "--out", tmp_path / "runs", "--json")
    assert code == 0
    assert [(entry["name"], entry["row"], entry["state"]) for entry in json.loads(out)] == [
        ("a-good", "C5", "finished"),
        ("b-absent", "", "left out"),
    ]
    assert "a-good" in err


def test_a_study_of_the_user_s_called_all_comes_first(striate, library, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("all").write_text("question: Mine?\n")
    code, _, err = striate("run", "all")
    assert (code, err) == (1, "striate: all: data: is missing\n")


def test_the_page_escapes_what_a_reason_says(tmp_path):
    outcome = Outcome(name="x", row="", question="Why?", state="failed", seconds=1.0, reason="<script>")
    page = build([outcome], tmp_path, "")
    assert "&lt;script&gt;" in page
    assert "<script>" not in page


def test_weights_that_cannot_be_fetched_are_missing(tmp_path, monkeypatch):
    from striate.nets.pytorch import pretrained

    def refuse(*parts, **options):
        raise OSError("no network")

    monkeypatch.setattr(pretrained.torch.hub, "download_url_to_file", refuse)
    monkeypatch.setattr(pretrained.torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(loaded.LoadedStudy, "plan", lambda study: None)
    text = "question: Q?\ndata: digits\nnetwork: {torchvision: alexnet, pretrained: true}\n"
    study = loaded.load(write_study(tmp_path, text))
    with pytest.raises(Missing, match="arm 'base': pretrained: the weights of alexnet cannot be downloaded"):
        study.fetch_weights()


def test_images_that_are_missing_are_told_before_weights_are_downloaded(tmp_path, monkeypatch):
    monkeypatch.setenv("STRIATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("STRIATE_DATA", raising=False)
    monkeypatch.setattr("striate.engines.select.fetch_weights", lambda network: pytest.fail("a download"))
    text = "question: Q?\ndata: scenes\nnetwork: {torchvision: alexnet, pretrained: true}\n"
    with pytest.raises(Missing, match="scenes: not found on this machine"):
        loaded.load(write_study(tmp_path, text)).fetch_weights()
