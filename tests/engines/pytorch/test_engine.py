"""Whole runs with PyTorch: what a finished run folder holds, and that nothing but the job decides it."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from striate.core.errors import RunError, TrainingError
from striate.data import mean_std, split
from striate.engines import driver
from striate.engines.select import train
from striate.nets import NetworkConfig
from striate.nets.pytorch.build import build
from striate.nets.summary.summarize import summarize
from striate.runs import Summary, read
from striate.runs import files as run_files
from tests.engines.pytorch.conftest import files, make_dataset, make_job


def test_a_finished_run_holds_all_that_the_manual_names(tmp_path, job, dataset):
    summary = train(job, tmp_path, dataset=dataset, threads=1)
    assert summary.state == "finished"
    assert {path.name for path in tmp_path.iterdir()} - {".lock"} == {
        "run.yaml",
        "env.json",
        "network.json",
        "metrics.jsonl",
        "summary.json",
        "best.safetensors",
        "final.safetensors",
        "predictions.npz",
    }
    run = read(tmp_path)
    assert run.fingerprint == job.fingerprint
    assert [row.epoch for row in run.metrics] == [1, 2, 3]
    assert run.environment.threads == 1
    assert run.summary.test_opened_because


def test_the_layers_of_the_network_are_kept_for_the_report(tmp_path, job, dataset):
    train(job, tmp_path, dataset=dataset, threads=1)
    assert read(tmp_path).network == summarize(job.network, (1, 8, 8), 3).table


def test_a_network_whose_layers_cannot_be_traced_is_trained_without_them(tmp_path, job, dataset, monkeypatch):
    def untraceable(*_):
        raise RuntimeError("planted")

    monkeypatch.setattr("striate.engines.driver.summarize", untraceable)
    assert train(job, tmp_path, dataset=dataset, threads=1).state == "finished"
    assert "layers of the network are not recorded: RuntimeError: planted" in (tmp_path / "log.txt").read_text()
    assert not (tmp_path / "network.json").exists()
    assert read(tmp_path).network is None


def test_the_summary_s_numbers_follow_from_the_files(tmp_path, job, dataset):
    """Accuracies and losses again, from predictions.npz alone, by the formulas."""
    summary = train(job, tmp_path, dataset=dataset, threads=1)
    predictions = np.load(tmp_path / "predictions.npz")
    for part in ("validation", "test"):
        logits, labels = predictions[f"{part}_logits"].astype(np.float64), predictions[f"{part}_labels"]
        shifted = logits - logits.max(1, keepdims=True)
        log_probabilities = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        assert getattr(summary, f"{part}_accuracy") == (logits.argmax(1) == labels).mean()
        assert getattr(summary, f"{part}_loss") == pytest.approx(
            -log_probabilities[np.arange(len(labels)), labels].mean()
        )
    best = max(read(tmp_path).metrics, key=lambda row: (row.validation_accuracy, -row.validation_loss))
    assert summary.best_epoch == best.epoch
    assert summary.validation_accuracy == best.validation_accuracy
    assert np.array_equal(predictions["test_labels"], dataset.open_test("a test").labels)


def test_the_best_weights_give_the_predictions_that_were_kept(tmp_path, job, dataset):
    train(make_job(dataset, precision="float32"), tmp_path, dataset=dataset, threads=1)
    module = build(job.network, (1, 8, 8), 3, seed=9).eval()
    module.load_state_dict(
        {name: torch.from_numpy(array) for name, array in load_file(tmp_path / "best.safetensors").items()}
    )
    mean, std = mean_std(dataset.train.images, split(dataset, 0.1, 0).train)
    images = (dataset.open_test("a test").images / 255 - mean) / std
    with torch.no_grad():
        logits = module(torch.from_numpy(images).float().permute(0, 3, 1, 2)).numpy()
    assert np.abs(logits - np.load(tmp_path / "predictions.npz")["test_logits"]).max() < 1e-4


def test_it_learns(tmp_path, dataset):
    summary = train(make_job(dataset, epochs=12, augment={}), tmp_path, dataset=dataset, threads=1)
    assert summary.test_accuracy > 0.95
    assert not summary.at_chance


def test_seed_decides_and_nothing_else_does(tmp_path, dataset):
    torch.manual_seed(1)
    train(make_job(dataset), tmp_path / "a", dataset=dataset, threads=1)
    torch.manual_seed(2)
    np.random.seed(3)
    train(make_job(dataset), tmp_path / "b", dataset=dataset, threads=1)
    train(make_job(dataset, seed=1), tmp_path / "c", dataset=dataset, threads=1)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert files(tmp_path / "a")["final.safetensors"] != files(tmp_path / "c")["final.safetensors"]


@pytest.mark.parametrize("network", [{"layers": "conv8 pool drop0.2 fc16"}, {"torchvision": "shufflenet_v2_x0_5"}])
def test_the_caller_s_random_numbers_are_left_alone(tmp_path, network):
    dataset = make_dataset(count=30, channels=3)
    job = make_job(dataset, network=NetworkConfig.model_validate(network), epochs=1)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    train(job, tmp_path, dataset=dataset, threads=1)
    assert torch.equal(torch.rand(3), expected)


def test_a_finished_run_is_not_trained_again(tmp_path, job, dataset, monkeypatch):
    before = train(job, tmp_path, dataset=dataset, threads=1)
    monkeypatch.setattr(driver, "Driver", None)
    assert train(job, tmp_path, dataset=dataset) == before


@pytest.mark.parametrize("steps", [1, 4, 7, 8, 13, 20])
def test_a_stopped_run_goes_on_as_if_it_had_never_stopped(tmp_path, job, dataset, steps):
    """108 training images in batches of 16: 7 steps an epoch, 21 in all."""
    train(job, tmp_path / "whole", dataset=dataset, threads=1)
    left = steps

    def should_stop():
        nonlocal left
        left -= 1
        return left < 0

    assert train(job, tmp_path / "stopped", dataset=dataset, threads=1, should_stop=should_stop) is None
    assert read(tmp_path / "stopped").state == "unfinished"
    assert train(job, tmp_path / "stopped", dataset=dataset).state == "finished"
    assert files(tmp_path / "stopped") == files(tmp_path / "whole")


def test_a_run_of_mixed_images_goes_on_as_if_it_had_never_stopped(tmp_path, dataset):
    """Partners and alternate flips hang on the place in the epoch, which a stop must not move."""
    augment = {"flip": "alternate", "crop": 1, "cutout": 2, "mixup": 0.3, "cutmix": 1.0, "strength": 4}
    job = make_job(dataset, augment=augment)
    train(job, tmp_path / "whole", dataset=dataset, threads=1)
    answers = iter([False] * 10 + [True])
    train(job, tmp_path / "stopped", dataset=dataset, threads=1, should_stop=lambda: next(answers))
    assert read(tmp_path / "stopped").state == "unfinished"
    assert train(job, tmp_path / "stopped", dataset=dataset).state == "finished"
    assert files(tmp_path / "stopped") == files(tmp_path / "whole")


def test_a_killed_run_goes_on_from_its_last_save(tmp_path, job, dataset, monkeypatch):
    """A crash after the save of an epoch, with a torn line behind it: the later rows are made again."""
    train(job, tmp_path / "whole", dataset=dataset, threads=1)
    monkeypatch.setattr("striate.engines.driver.AFTER_EPOCH_SECONDS", -1.0)
    monkeypatch.setattr(driver, "REPORT_SECONDS", -1.0)
    progress = []

    def die(now):
        progress.append(now)
        if now.epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(job, tmp_path / "killed", dataset=dataset, threads=1, report=die)
    with (tmp_path / "killed" / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "train_lo')
    assert [row.epoch for row in read(tmp_path / "killed").metrics] == [1, 2]
    train(job, tmp_path / "killed", dataset=dataset)
    assert files(tmp_path / "killed") == files(tmp_path / "whole")


def test_a_run_that_diverges_is_named_and_kept(tmp_path, dataset):
    wild = make_job(dataset, optimizer={"name": "SGD", "lr": 1e30}, network=NetworkConfig(layers="conv8 fc16"))
    summary = train(wild, tmp_path, dataset=dataset, threads=1)
    assert summary.state == "diverged"
    assert summary.reason.startswith("the loss stopped being a finite number in epoch 1, step ")
    assert Summary.model_validate(json.loads((tmp_path / "summary.json").read_text())) == summary
    assert train(wild, tmp_path, dataset=dataset) == summary
    (row,) = read(tmp_path).metrics
    assert (row.epoch, row.train_loss, row.validation_accuracy) == (1, None, None)


def test_weights_that_break_in_the_last_step_are_a_divergence_too(tmp_path, dataset):
    """One step an epoch: the loss before it is finite, nothing after it is."""
    wild = make_job(
        dataset,
        epochs=1,
        batch_size=500,
        optimizer={"name": "SGD", "lr": 1e38},
        network=NetworkConfig(layers="conv8 fc16"),
    )
    summary = train(wild, tmp_path, dataset=dataset, threads=1)
    assert (summary.state, summary.reason) == (
        "diverged",
        "the outputs stopped being finite numbers by the end of epoch 1",
    )


def test_a_run_that_learns_nothing_is_said_to_be_at_chance(tmp_path, dataset):
    stuck = make_job(dataset, optimizer={"name": "SGD", "lr": 1e-12}, network=NetworkConfig(layers="conv4 gap"))
    assert train(stuck, tmp_path, dataset=dataset, threads=1).at_chance


def test_always_the_commonest_class_is_chance(tmp_path, dataset):
    """Nine of ten images are of one class; nothing but that is learned."""
    parts = [
        dataclasses.replace(part, labels=np.where(np.arange(len(part.labels)) % 10, 0, 1 + part.labels % 2))
        for part in (dataset.train, dataset.open_test("to make it lopsided"))
    ]
    lopsided = dataclasses.replace(dataset, train=parts[0], test=parts[1])
    dull = NetworkConfig(layers="gap")
    summary = train(make_job(lopsided, network=dull, epochs=30), tmp_path, dataset=lopsided, threads=1)
    assert summary.test_accuracy == pytest.approx(0.9)
    assert summary.at_chance
    assert summary.data.chance == 10 / 12  # of the twelve validation images


def test_images_that_changed_since_the_plan_are_refused(tmp_path, dataset):
    job = make_job(dataset).replace(digest="e" * 64)
    with pytest.raises(TrainingError, match="the images of 'squares' are not those that this run was planned with"):
        train(job, tmp_path, dataset=dataset)
    assert read(tmp_path).state == "failed"


def test_a_failure_leaves_its_reason_and_is_tried_again(tmp_path, job, dataset, monkeypatch):
    monkeypatch.setattr("striate.engines.pytorch.engine.evaluate", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError, match="division by zero"):
        train(job, tmp_path, dataset=dataset)
    assert read(tmp_path).summary.reason == "division by zero"
    assert "ZeroDivisionError" in (tmp_path / "log.txt").read_text()
    monkeypatch.undo()
    assert train(job, tmp_path, dataset=dataset).state == "finished"


def test_a_folder_of_another_run_is_left_alone(tmp_path, dataset):
    train(make_job(dataset), tmp_path, dataset=dataset, threads=1)
    before = files(tmp_path)
    with pytest.raises(RunError, match="holds a run of other settings"):
        train(make_job(dataset, epochs=4), tmp_path, dataset=dataset)
    assert files(tmp_path) == before


def test_grey_and_color_and_odd_sizes_train(tmp_path):
    for index, (size, channels) in enumerate([(8, 3), (9, 1)]):
        data = make_dataset(size=size, channels=channels)
        assert train(make_job(data, epochs=1), tmp_path / str(index), dataset=data, threads=1).state == "finished"


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "Adadelta", "RMSprop", "NAdam", "Rprop", "ASGD"])
def test_every_optimizer_of_torch_trains(tmp_path, dataset, name):
    job = make_job(dataset, epochs=1, optimizer={"name": name, "lr": 0.01})
    assert train(job, tmp_path, dataset=dataset, threads=1).state == "finished"


def test_two_processes_do_not_write_one_run(tmp_path, job, dataset):
    import filelock

    with filelock.FileLock(tmp_path / ".lock"), pytest.raises(RunError, match="another process is training this run"):
        train(job, tmp_path, dataset=dataset)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which Linux has")
@pytest.mark.parametrize("file", ["last.pt", "best.safetensors", "predictions.npz", "summary.json"])
def test_a_full_disk_is_said_in_words_and_the_run_goes_on_when_there_is_room(tmp_path, job, dataset, monkeypatch, file):
    """The file that does not fit is written to /dev/full, which refuses each write as a full disk does."""
    monkeypatch.setattr("striate.engines.driver.AFTER_EPOCH_SECONDS", -1.0)
    train(job, tmp_path / "whole", dataset=dataset, threads=1)

    def full():
        temporary = tmp_path / "full" / f".{file}.01234567.unfinished"
        if not temporary.is_symlink():
            temporary.symlink_to("/dev/full")
        return SimpleNamespace(hex="01234567")

    with monkeypatch.context() as now:
        now.setattr(run_files.uuid, "uuid4", full)
        with pytest.raises(RunError, match="no space left on the disk"):
            train(job, tmp_path / "full", dataset=dataset, threads=1)
    assert not read(tmp_path / "full").is_result
    assert train(job, tmp_path / "full", dataset=dataset).state == "finished"
    assert files(tmp_path / "full") == files(tmp_path / "whole")


def test_a_resumed_run_keeps_its_number_of_threads(tmp_path, job, dataset):
    """The number of threads changes the last bits, so a resumed run does not take what it is offered."""
    train(job, tmp_path / "whole", dataset=dataset, threads=1)
    steps = iter([False] * 9)
    assert train(job, tmp_path / "stopped", dataset=dataset, threads=1, should_stop=lambda: next(steps, True)) is None
    train(job, tmp_path / "stopped", dataset=dataset, threads=2)
    assert read(tmp_path / "stopped").environment.threads == 1
    assert files(tmp_path / "stopped") == files(tmp_path / "whole")


def test_sums_that_are_looked_at_seldom_are_saved_whole(tmp_path, job, dataset, monkeypatch):
    """As on a GPU, where most steps are not waited for: a save between two looks loses nothing."""
    train(job, tmp_path / "whole", dataset=dataset, threads=1)
    monkeypatch.setattr("striate.engines.pytorch.engine.TorchEngine.read_every", 3)
    steps = iter([False] * 4)
    assert train(job, tmp_path / "stopped", dataset=dataset, threads=1, should_stop=lambda: next(steps, True)) is None
    train(job, tmp_path / "stopped", dataset=dataset)
    assert files(tmp_path / "stopped") == files(tmp_path / "whole")


def test_a_stop_that_is_taken_back_ends_no_epoch_early(tmp_path, job, dataset):
    steps = iter([False] * 9 + [True])
    assert train(job, tmp_path / "stopped", dataset=dataset, threads=1, should_stop=lambda: next(steps, False)) is None
    assert [row.epoch for row in read(tmp_path / "stopped").metrics] == [1]


def test_images_of_any_size_are_evaluated_in_memory_s_measure(dataset):
    from striate.engines.pytorch.device import choose
    from striate.engines.pytorch.device_dataset import DeviceDataset
    from striate.engines.pytorch.evaluate import evaluate

    asked = []

    class Spy(torch.nn.Module):
        def forward(self, x):
            asked.append(len(x))
            return torch.zeros(len(x), 2)

    for side in (8, 2048):
        images = np.zeros((3, side, side, 1), np.uint8)
        data = DeviceDataset(images, np.zeros(3), np.zeros(1), np.ones(1), choose(make_job(dataset).recipe, "cpu", 1))
        assert len(evaluate(Spy(), data).logits) == 3
    assert asked == [3, 1, 1, 1]
