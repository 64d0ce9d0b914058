"""What a recipe asks for happens: stopping, clipping, averaging, watching; and a resumed run notices none of it."""

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch.nn import functional

from striate.engines.driver import WATCHED
from striate.engines.pytorch.learner import Learner
from striate.engines.select import train
from striate.nets import NetworkConfig
from striate.runs import read
from tests.engines.pytorch.conftest import files, make_job

# Everything that has a state of its own.
ALL = {
    "optimizer": {"name": "SGD", "lr": 0.05, "momentum": 0.9, "clip": 1.0, "decays": "weights", "weight_decay": 0.01},
    "schedule": {"name": "plateau", "patience": 0, "factor": 0.5, "warmup": 0.2},
    "stop": {"patience": 3},
    "ema": 0.9,
    "precise_norm": 50,
    "test_time": "flip+shift",
    "epochs": 4,
}


@pytest.mark.parametrize("steps", [3, 7, 12, 26])
def test_a_run_with_every_state_goes_on_as_if_it_had_never_stopped(tmp_path, dataset, steps):
    job = make_job(dataset, **ALL).replace(watch_test=True, watch_train=True)
    train(job, tmp_path / "whole", dataset=dataset, threads=1)
    left = iter([False] * steps)
    assert train(job, tmp_path / "stopped", dataset=dataset, threads=1, should_stop=lambda: next(left, True)) is None
    assert train(job, tmp_path / "stopped", dataset=dataset).state == "finished"
    assert files(tmp_path / "stopped") == files(tmp_path / "whole")


@pytest.mark.parametrize("name", ["Muon", "Adam", "Adadelta", "Rprop"])
def test_every_optimizer_s_state_is_taken_up(tmp_path, dataset, name):
    job = make_job(dataset, optimizer={"name": name, "lr": 0.01}, epochs=2)
    train(job, tmp_path / "whole", dataset=dataset, threads=1)
    left = iter([False] * 5)
    train(job, tmp_path / "stopped", dataset=dataset, threads=1, should_stop=lambda: next(left, True))
    train(job, tmp_path / "stopped", dataset=dataset)
    assert files(tmp_path / "stopped") == files(tmp_path / "whole")


def test_early_stopping_ends_the_run_and_the_summary_says_why(tmp_path, dataset):
    job = make_job(dataset, epochs=40, stop={"patience": 2, "watch": "validation_accuracy"})
    summary = train(job, tmp_path, dataset=dataset, threads=1)
    accuracies = [row.validation_accuracy for row in read(tmp_path).metrics]
    assert summary.epochs == len(accuracies) == accuracies.index(max(accuracies)) + 3 < 40
    assert summary.stopped == "the validation accuracy had not improved for 2 epochs"


def test_a_run_that_had_enough_and_was_killed_before_it_said_so_trains_no_more(tmp_path, dataset, monkeypatch):
    job = make_job(dataset, epochs=9, stop={"train_loss": 50.0})
    monkeypatch.setattr("striate.engines.driver.AFTER_EPOCH_SECONDS", -1.0)

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr("striate.engines.driver.Driver._finish", die)
        with pytest.raises(KeyboardInterrupt):
            train(job, tmp_path, dataset=dataset, threads=1)
    summary = train(job, tmp_path, dataset=dataset)
    assert (summary.epochs, summary.stopped) == (1, "the training loss came under 50")


def test_a_run_to_its_end_says_that_too(tmp_path, job, dataset):
    assert train(job, tmp_path, dataset=dataset, threads=1).stopped == "all 3 epochs were done"


def test_watching_the_test_part_is_said_and_chooses_nothing(tmp_path, dataset):
    plain = train(make_job(dataset), tmp_path / "plain", dataset=dataset, threads=1)
    watching = make_job(dataset).replace(watch_test=True, watch_train=True)
    summary = train(watching, tmp_path / "watched", dataset=dataset, threads=1)
    assert (summary.test_watched, summary.test_opened_because) == (True, WATCHED)
    assert not plain.test_watched
    assert (tmp_path / "plain" / "final.safetensors").read_bytes() == (
        tmp_path / "watched" / "final.safetensors"
    ).read_bytes()
    rows = read(tmp_path / "watched").metrics
    assert summary.test_accuracy == rows[summary.best_epoch - 1].test_accuracy
    assert all(row.train_eval_loss > 0 for row in rows)
    assert "test_loss" not in read(tmp_path / "plain").metrics[0].to_json()


def test_the_averaged_weights_are_those_that_are_kept(tmp_path, dataset):
    """By hand: the average over the steps of a run without it."""
    recipe = {"optimizer": {"name": "SGD", "lr": 0.1}, "epochs": 1, "augment": "none", "schedule": "constant"}
    network = NetworkConfig(layers="fc3", head="none")
    average, steps = None, 7
    for count in range(1, steps + 1):
        left = iter([False] * count)
        job = make_job(dataset, network=network, **recipe)
        folder = tmp_path / f"{count}"
        train(job, folder, dataset=dataset, threads=1, should_stop=lambda left=left: next(left, True))
        if count == steps:
            weights = load_file(folder / "final.safetensors")
        else:
            state = torch.load(folder / "last.pt", weights_only=True)
            weights = {name: tensor.numpy() for name, tensor in state["module"].items()}
        decay = min(0.8, (1 + count) / (10 + count))
        first = initial(job, dataset) if average is None else average
        average = {name: decay * first[name] + (1 - decay) * weights[name] for name in weights}
    train(make_job(dataset, network=network, ema=0.8, **recipe), tmp_path / "averaged", dataset=dataset, threads=1)
    averaged = load_file(tmp_path / "averaged" / "final.safetensors")
    assert all(np.allclose(averaged[name], average[name], atol=1e-5) for name in average)


def initial(job, dataset):
    from striate.nets.pytorch.build import build

    module = build(job.network, (1, 8, 8), 3, job.seed)
    return {name: tensor.numpy().copy() for name, tensor in module.state_dict().items()}


def test_a_clipped_gradient_moves_the_weights_by_no_more(tmp_path, dataset):
    """One step of plain SGD: the weights move by lr times the norm, which is at most the clip."""
    recipe = {"epochs": 1, "batch_size": 500, "augment": "none", "schedule": "constant", "precision": "float32"}
    moved = {}
    for clip in (None, 0.01):
        job = make_job(
            dataset, network=NetworkConfig(layers="fc8"), **recipe, optimizer={"name": "SGD", "lr": 1.0, "clip": clip}
        )
        train(job, tmp_path / str(clip), dataset=dataset, threads=1)
        after, before = load_file(tmp_path / str(clip) / "final.safetensors"), initial(job, dataset)
        moved[clip] = np.sqrt(sum(((after[name] - before[name]) ** 2).sum() for name in after))
        # What is noted is the norm before clipping, so both runs note the same.
        assert read(tmp_path / str(clip)).metrics[0].gradient_norm == pytest.approx(moved[None], rel=1e-3)
    assert moved[None] > 0.1
    assert moved[0.01] == pytest.approx(0.01, rel=1e-3)


def test_without_shuffling_every_epoch_has_one_order(tmp_path, dataset):
    """A learning rate of almost 0: an epoch's first batch has the same loss again exactly if its images are the same."""
    losses = {}
    for shuffle in (True, False):
        job = make_job(dataset, shuffle=shuffle, augment="none", epochs=2, optimizer={"name": "SGD", "lr": 1e-12},
                       schedule="constant", network=NetworkConfig(layers="fc8"))  # fmt: skip
        losses[shuffle] = []
        for steps in (1, 8):
            left = iter([False] * steps)
            folder = tmp_path / f"{shuffle}-{steps}"
            train(job, folder, dataset=dataset, threads=1, should_stop=lambda left=left: next(left, True))
            losses[shuffle].append(torch.load(folder / "last.pt", weights_only=True)["sums"][0])
    assert losses[False][0] == pytest.approx(losses[False][1], rel=1e-9)
    assert losses[True][0] != pytest.approx(losses[True][1], rel=1e-9)


def test_a_run_that_diverged_keeps_its_last_sound_state(tmp_path, dataset, monkeypatch):
    """The weights break in the fourth step of the second epoch; what was saved before is still there and sound."""
    monkeypatch.setattr("striate.engines.driver.AFTER_EPOCH_SECONDS", -1.0)
    monkeypatch.setattr("striate.engines.driver.WITHIN_EPOCH_SECONDS", -1.0)
    real, steps = Learner.step, []

    def breaking(learner, *arguments, **options):
        steps.append(1)
        sums = real(learner, *arguments, **options)
        if len(steps) == 11:
            with torch.no_grad():
                next(learner.module.parameters()).fill_(float("nan"))
        return sums

    monkeypatch.setattr(Learner, "step", breaking)
    summary = train(make_job(dataset), tmp_path, dataset=dataset, threads=1)
    assert summary.state == "diverged"
    assert summary.reason == "the loss stopped being a finite number in epoch 2, step 5 of 7"
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    assert (state["course"]["epoch"], state["course"]["step"]) == (1, 3)
    assert all(torch.isfinite(tensor).all() for tensor in state["module"].values())
    assert summary.best_epoch == 1
    assert all(np.isfinite(array).all() for array in load_file(tmp_path / "best.safetensors").values())


def test_a_gradient_that_breaks_is_named(tmp_path, dataset, monkeypatch):
    real = functional.cross_entropy

    def steep(logits, *rest, **settings):
        """A finite loss whose gradient is not: the root of what is zero."""
        return real(logits, *rest, **settings) + (logits.sum() * 0).abs().sqrt()

    monkeypatch.setattr(functional, "cross_entropy", steep)
    summary = train(make_job(dataset, precision="float32"), tmp_path, dataset=dataset, threads=1)
    assert (summary.state, summary.reason) == (
        "diverged",
        "the gradient stopped being a finite number in epoch 1, step 1 of 7",
    )


def test_the_summary_scores_the_predictions(tmp_path, job, dataset):
    summary = train(job, tmp_path, dataset=dataset, threads=1)
    predictions = np.load(tmp_path / "predictions.npz")
    is_correct = predictions["test_logits"].argmax(1) == predictions["test_labels"]
    assert summary.test.per_class == pytest.approx(
        [is_correct[predictions["test_labels"] == k].mean() for k in range(3)]
    )
    assert np.trace(summary.test.confusion) == is_correct.sum()
    assert 0 <= summary.validation.calibration_error <= 1
    assert json.loads((tmp_path / "summary.json").read_text())["test"] == summary.test.model_dump(mode="json")


@pytest.mark.parametrize("often", [True, False])
def test_when_a_run_is_saved_does_not_decide_how_it_ends(tmp_path, dataset, monkeypatch, often):
    """Statistics of a norm that overflow show in no loss; the end of the epoch checks them, saved or not."""
    if often:
        monkeypatch.setattr("striate.engines.driver.AFTER_EPOCH_SECONDS", -1.0)
        monkeypatch.setattr("striate.engines.driver.WITHIN_EPOCH_SECONDS", -1.0)
    real, steps = Learner.step, []

    def breaking(learner, *arguments, **options):
        steps.append(1)
        sums = real(learner, *arguments, **options)
        if len(steps) == 3:
            learner.module.get_submodule("conv1_norm").running_var.fill_(float("inf"))
        return sums

    monkeypatch.setattr(Learner, "step", breaking)
    summary = train(make_job(dataset), tmp_path, dataset=dataset, threads=1)
    assert (summary.state, summary.reason) == (
        "diverged",
        "the weights stopped being finite numbers by the end of epoch 1",
    )
    assert summary.seconds > 0


def test_a_watched_run_that_diverged_says_that_the_test_part_was_open(tmp_path, dataset):
    network = NetworkConfig(layers="conv8 fc16")
    wild = make_job(dataset, optimizer={"name": "SGD", "lr": 1e30}, network=network).replace(watch_test=True)
    summary = train(wild, tmp_path, dataset=dataset, threads=1)
    assert (summary.state, summary.test_watched, summary.test_opened_because) == ("diverged", True, WATCHED)


@pytest.mark.parametrize("count", [97, 2])
def test_precise_norm_takes_any_number_of_images(tmp_path, dataset, monkeypatch, count):
    """Evaluated 32 at a time, 97 leave a single one, which has no variance."""
    monkeypatch.setattr("striate.engines.pytorch.evaluate.PIXELS_AT_ONCE", 32 * 8 * 8)
    job = make_job(dataset, precise_norm=count, epochs=1)
    assert train(job, tmp_path, dataset=dataset, threads=1).state == "finished"


def test_a_state_of_the_first_version_is_taken_up(tmp_path, job, dataset):
    train(job, tmp_path / "whole", dataset=dataset, threads=1)
    left = iter([False] * 10)
    train(job, tmp_path / "old", dataset=dataset, threads=1, should_stop=lambda: next(left, True))
    path = tmp_path / "old" / "last.pt"
    state = torch.load(path, weights_only=True)
    train_state = state.pop("course")
    state["best"] = {key: train_state.pop(f"best_{key}") for key in ("epoch", "accuracy", "loss")} | {
        "weights": state["best"]
    }
    state["plain"], state["sums"] = train_state, state["sums"][:2]
    del state["average"]
    torch.save(state, path)
    train(job, tmp_path / "old", dataset=dataset)
    old, whole = files(tmp_path / "old"), files(tmp_path / "whole")
    assert {name: old[name] for name in old if name != "metrics"} == {
        name: whole[name] for name in whole if name != "metrics"
    }


def test_a_finished_run_that_was_killed_before_its_state_was_removed_is_tidied(tmp_path, job, dataset):
    train(job, tmp_path, dataset=dataset, threads=1)
    (tmp_path / "last.pt").write_bytes(b"left behind")
    train(job, tmp_path, dataset=dataset)
    assert not (tmp_path / "last.pt").exists()
