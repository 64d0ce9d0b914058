"""`striate check`: the plan first, then the time."""

import json
import re

import numpy as np
import pytest

from striate.data import load as load_data
from striate.data import split
from striate.engines import select
from striate.engines.precision import PrecisionChoice
from striate.runs import layout, read
from striate.studies.execute import estimate
from striate.studies.loaded import LoadedStudy, load
from tests.contracts.scheduler import InlineScheduler
from tests.data.films import films, write_folder
from tests.studies.conftest import STUDY, write_study

GRID = (
    STUDY[: STUDY.index("arms:")] + "grid: {network.layers: [conv2, conv4, conv6], recipe.optimizer.lr: [0.1, 0.01]}\n"
)


@pytest.fixture
def timed(monkeypatch):
    """The networks whose steps were timed, and the seconds that each was given; a step takes 4 s on a false clock."""
    calls, clock = [], [0.0]
    monkeypatch.setattr(estimate.time, "monotonic", lambda: clock[0])

    def images_per_second(network, recipe, dataset, device, threads, seconds, precision):
        calls.append((network.layers, seconds))
        clock[0] += 4
        return 1000.0 if network.layers != "conv6" else 500.0

    monkeypatch.setattr(select, "images_per_second", images_per_second)
    return calls


def test_the_plan_comes_first_and_nothing_is_written(striate, tmp_path):
    path = write_study(tmp_path, STUDY)
    code, out, _ = striate("check", path, "recipe.epochs=3", "--out", tmp_path / "runs")
    assert code == 0
    lines = out.splitlines()
    starts = ["Does batch", "data: squares", "arm", "plain", "normalized", "comparison: normalized - plain", "4 runs: 0 done, 4 to train",
              "trained ", "disk: about ", "time: about "]  # fmt: skip
    found = [next(index for index, line in enumerate(lines) if line.startswith(start)) for start in starts]
    assert found == sorted(found)
    assert "network of" not in out
    assert "(a few training steps of each arm were timed)" in lines[-1]
    assert not (tmp_path / "runs").exists()


def test_the_precision_and_what_decided_are_printed(striate, tmp_path, monkeypatch):
    """Where the study leaves it open."""
    choice = PrecisionChoice("float32", "bf16 is 0.8 times as fast here", 0.8)
    monkeypatch.setattr(select, "choose_precision", lambda asked: choice)
    path = write_study(tmp_path, STUDY)
    command = ("check", path, "--no-time", "--out", tmp_path / "runs")
    assert str(choice) not in striate(*command)[1]
    assert str(choice) in striate(*command, "recipe.precision=auto")[1].splitlines()
    resources = json.loads(striate(*command, "recipe.precision=auto", "--json")[1])["resources"]
    assert resources["precision"] == "float32"
    assert resources["auto"] == {"precision": "float32", "reason": choice.reason, "speedup": 0.8}


def test_what_is_done_is_counted(striate, finished, tmp_path):
    _, out, _ = striate("check", finished, "--out", tmp_path / "runs", "--seeds", 4, "--no-time")
    assert "8 runs: 6 done, 2 to train" in out
    _, out, _ = striate("check", finished, "--out", tmp_path / "runs")
    assert "6 runs: 6 done, 0 to train" in out
    assert "time:" not in out


def test_data_that_arms_split_differently_is_shown_once_with_both_shares(striate, tmp_path):
    path = write_study(tmp_path, STUDY.replace("{network.norm: batch}", "{data.validation: 0.25}"))
    _, out, _ = striate("check", path, "--no-time", "--out", tmp_path / "runs")
    assert out.count("data: squares") == 1
    assert "(10 % or 25 % of them for validation)" in out


def test_notes_on_the_images_and_warnings_are_printed_by_check_and_by_run(striate, tmp_path, monkeypatch):
    path = write_study(tmp_path, STUDY)
    with np.load(tmp_path / "squares.npz") as file:
        arrays = dict(file)
    kept = np.sort(
        np.concatenate([np.flatnonzero(arrays["train_labels"] != 2), np.flatnonzero(arrays["train_labels"] == 2)[:6]])
    )
    for key in ("train_images", "train_labels"):
        arrays[key] = np.concatenate([arrays[key][kept], arrays[key][kept[-40:]]])
    np.savez(tmp_path / "squares.npz", **arrays, ids=np.arange(3))
    _, out, _ = striate("check", path, "--no-time", "--out", tmp_path / "runs")
    said = ["arrays not read: ids", "40 images of the train part are copies of others in it, pixel by pixel",
            "classes of unequal size: '2' has "]  # fmt: skip
    warned = ["accuracy says little of '2', as always answering ", "squares: of the validation images "]
    assert all(f"\n  {text}" in out for text in said)
    assert all(text in out for text in warned)
    assert "try recipe.class_weights: balanced (plain, normalized)" in out
    run = LoadedStudy.run
    monkeypatch.setattr(LoadedStudy, "run", lambda study, **options: run(study, **options, scheduler=InlineScheduler()))
    _, out, err = striate("run", path, "recipe.epochs=1", "--seeds", 1, "--out", tmp_path / "runs")
    assert all(text in err for text in (*said, *warned))
    assert "Arrays not read: ids." in next((tmp_path / "runs").glob("*/report.html")).read_text()
    _, out, _ = striate("check", path, "recipe.class_weights=balanced", "--no-time", "--out", tmp_path / "other")
    assert warned[0] not in out
    assert said[0] in json.loads(striate("check", path, "--no-time", "--json")[1])["notes"][0]


def test_groups_and_what_they_make_of_the_share_are_told(striate, tmp_path):
    write_folder(tmp_path / "films", *films(8, 6))
    path = write_study(
        tmp_path, STUDY.replace("data: squares.npz", "data: {source: films, group: folder, validation: 0.2}")
    )
    _, out, _ = striate("check", path, "--no-time", "--out", tmp_path / "runs")
    said = [
        "16 groups of images by data.group: folder",
        "the source has no test part: a fixed 18.8 % of it, in whole groups, is held out as the test part",
        "groups of training images, each whole in training or validation: 1",
        "(20 % are asked for)",
    ]
    assert all(text in out for text in said)
    study = load(path, "recipe.epochs=1", seeds=1, out=tmp_path / "runs")
    assert all(any(text in note for note in study.plan().notes) for text in said)  # which run prints
    study.run(scheduler=InlineScheduler())
    for folder in (tmp_path / "runs").glob("*/*/seed-0"):  # who reads the run draws the same split again
        job = read(folder).job
        part = split(load_data(job.data), job.data.validation, job.seed).part("validation")
        with np.load(folder / layout.PREDICTIONS) as arrays:
            assert arrays["validation_labels"].tolist() == part.labels.tolist()
    striate("report", study.folder)
    page = (study.folder / layout.REPORT).read_text()
    assert "16 groups of images by data.group: folder." in page
    code, _, err = striate("check", path, "data.group=film(", "--no-time", "--out", tmp_path / "other")
    assert code == 1
    assert "data.group: 'film(' is no regular expression" in err


def test_json_has_the_plan_and_the_estimate(striate, tmp_path):
    path = write_study(tmp_path, STUDY)
    found = json.loads(striate("check", path, "--json", "--out", tmp_path / "runs")[1])
    assert [run["state"] for run in found["runs"]] == ["new"] * 4
    assert found["time"]["seconds"] > 0
    assert set(found["time"]["images_per_second"]) == {"plain", "normalized"}
    assert found["resources"]["disk_bytes"] > 4 * 8 * found["arms"]["plain"]["parameters"]
    found = json.loads(striate("check", path, "--json", "--no-time", "--out", tmp_path / "runs")[1])
    assert found["time"] is None


def test_layers_and_what_their_columns_mean_are_printed_when_asked_for(striate, tmp_path):
    path = write_study(tmp_path, STUDY)
    _, out, _ = striate("check", path, "--layers", "--no-time")
    assert "network of plain\n" in out
    assert "network of normalized\n" in out
    assert "587" in out
    meaning = "the receptive field: rows x columns"
    assert meaning not in out
    out = striate("check", path, "--explain", "--no-time")[1]
    assert out.count(meaning) == 1
    assert "network of plain\n" in out


def test_yaml_is_a_study_file_with_the_overrides(striate, tmp_path):
    path = write_study(tmp_path, STUDY)
    code, out, _ = striate("check", path, "recipe.epochs=7", "--yaml")
    assert code == 0
    again = tmp_path / "again.yaml"
    again.write_text(out)
    assert load(again).arms == load(path, "recipe.epochs=7").arms


def test_arms_whose_steps_cost_the_same_are_timed_once(striate, timed, tmp_path):
    path = write_study(tmp_path, STUDY.replace("{network.norm: batch}", "{recipe.optimizer.lr: 0.1, recipe.epochs: 9}"))
    _, out, _ = striate("check", path)
    assert timed == [("conv4 pool fc8", 1.0)]
    assert "(a few training steps of each arm were timed)" in out


def test_timing_ends_after_ten_seconds_and_says_how_many_arms_it_rests_on(striate, timed, monkeypatch, tmp_path):
    path = write_study(tmp_path, GRID)
    monkeypatch.setattr(estimate, "TIMING_SECONDS", 10.0)
    _, out, _ = striate("check", path)
    assert len(timed) == 3
    assert "(a few training steps of each arm were timed)" in out
    timed.clear()
    plan = load(path).plan()
    workers = estimate.resources(plan, 1, "cpu")
    found = estimate.estimate_time(plan, workers, "cpu", timing_seconds=5.0)
    assert [seconds for _, seconds in timed] == [1.0, 1.0]
    assert (len(found.images_per_second), found.arms, found.is_complete) == (4, 6, False)


def test_arms_that_were_not_timed_count_as_the_mean_of_the_others(timed, tmp_path):
    plan = load(write_study(tmp_path, GRID)).plan()
    workers = estimate.resources(plan, 1, "cpu")
    whole = estimate.estimate_time(plan, workers, "cpu", timing_seconds=100)
    part = estimate.estimate_time(plan, workers, "cpu", timing_seconds=3)
    assert (len(timed), whole.is_complete, part.is_complete) == (4, True, False)
    assert len(part.images_per_second) == 2
    images = (whole.seconds - estimate.START_SECONDS) / (2 / 1000 + 2 / 1000 + 2 / 500)  # of one arm
    speed = next(iter(part.images_per_second.values()))
    assert part.seconds - estimate.START_SECONDS == pytest.approx(6 * images / speed)


def test_a_partly_timed_grid_without_comparisons_says_so(striate, timed, monkeypatch, tmp_path):
    monkeypatch.setattr(estimate.estimate_time, "__defaults__", (5.0, None))
    _, out, _ = striate("check", write_study(tmp_path, GRID))
    assert "changes" not in out
    assert "no comparison is planned" in out
    assert "(estimated from 4 of 6 arms, timed for a few steps each)" in out


def test_a_step_that_fails_is_one_sentence_after_the_plan(striate, tmp_path, monkeypatch):
    def step(*_, **__):
        raise ValueError("planted")

    monkeypatch.setattr("striate.engines.pytorch.learner.Learner.step", step)
    code, out, err = striate("check", "quickstart", "--out", tmp_path)
    assert code == 1
    assert "to train" in out
    assert re.match(r"striate: arm '\w+': a step of training failed: ValueError: planted", err)
    assert err.count("\n") == 1
    assert striate("check", "quickstart", "--no-time", "--out", tmp_path)[0] == 0


def test_what_cannot_be_counted_is_named(striate, tmp_path, monkeypatch):
    path = write_study(
        tmp_path, "question: q\ndata: squares.npz\nnetwork: {import: 'spectral:Net'}\nrecipe: {precision: float32}\n"
    )
    (tmp_path / "spectral.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self, classes):\n"
        "        super().__init__()\n"
        "        self.fc = torch.nn.Linear(40, classes)\n"
        "    def forward(self, x):\n"
        "        return self.fc(torch.fft.rfft(x).abs().flatten(1))\n"
    )
    code, out, _ = striate("check", path, "--no-time")
    assert code == 0
    assert "(fft_r2c) of spectral:Net are not known (base)" in " ".join(out.split())
