"""Run folders that version 0.1.0 wrote, checked in: they are still read, recognized and resumed."""

import shutil
from pathlib import Path

import pytest
import yaml

import striate
from striate.data import load
from striate.engines.select import train
from striate.runs import Job, read

FOLDERS = Path(__file__).parent.parent / "golden" / "format-1"
ACCURACIES = {
    "plain": [25.9052924791, 20.0557103064, 10.8635097493],
    "normalized": [37.8830083565, 20.6128133705, 18.6629526463],
    "wild": [10.0, 10.0, 10.0],
}


@pytest.fixture
def folders(tmp_path) -> Path:
    """A copy, which may be written to."""
    return shutil.copytree(FOLDERS, tmp_path / "format-1")


def test_the_results_are_read_as_they_were(folders):
    results = striate.Results.read(folders / "kept")
    for arm, accuracies in ACCURACIES.items():
        assert [row.test_accuracy for row in results.of(arm)] == pytest.approx(accuracies)
    assert [row.state for row in results.rows] == ["finished"] * 6 + ["diverged"] * 3
    (verdict,) = results.verdicts
    # The third run of `plain` is at chance: it is an outcome of its own now, and leaves two pairs.
    assert verdict.label == "too few seeds"
    assert verdict.differences == pytest.approx({0: 11.977715877437326, 1: 0.557103064066857})
    assert "plain in 1 of 3 runs (at chance: seed 2; a rate of 1 % to 91 %)" in verdict.sentence


def test_finished_runs_are_recognized_and_not_trained_again(folders):
    plan = striate.load(folders / "kept").plan()
    assert [run.state for run in plan.runs] == ["done"] * 9
    assert {run.job.fingerprint for run in plan.runs} == {
        read(path.parent).fingerprint for path in folders.glob("kept/*/*/run.yaml")
    }


def test_a_study_with_other_settings_is_still_refused(folders):
    with pytest.raises(striate.StriateError, match="other settings"):
        striate.load(folders / "kept", "recipe.epochs=3").plan()


@pytest.mark.parametrize("engine", ["torch", "numpy"])
def test_an_unfinished_run_is_resumed(folders, engine):
    folder = folders / f"unfinished-{engine}"
    before = (folder / "metrics.jsonl").read_text().splitlines()
    job = Job.model_validate(described(folder))
    assert job.fingerprint == read(folder).fingerprint
    summary = train(job, folder, "cpu", dataset=load(job.data), threads=1)
    assert (summary.state, summary.epochs) == ("finished", 3)
    assert (folder / "metrics.jsonl").read_text().splitlines()[: len(before)] == before


def test_a_failed_run_says_why(folders):
    run = read(folders / "failed")
    assert (run.state, run.is_result) == ("failed", False)


def described(folder: Path) -> dict:
    """What run.yaml says of the job."""
    content = yaml.safe_load((folder / "run.yaml").read_text())
    return {key: value for key, value in content.items() if key not in {"format", "fingerprint"}}
