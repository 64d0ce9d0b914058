"""What every engine promises of a run, as tests. An engine's own test file subclasses this and says how to train."""

import json

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

from striate.core.errors import RunError, TrainingError
from striate.data import mean_std, split
from striate.engines import driver
from striate.engines.select import train
from striate.nets import NetworkConfig
from striate.nets.whitening import whitening_weights
from striate.runs import read
from tests.engines.pytorch.conftest import files, make_dataset, make_job, unequal

FILES = {
    "run.yaml",
    "env.json",
    "network.json",
    "metrics.jsonl",
    "summary.json",
    "best.safetensors",
    "final.safetensors",
    "predictions.npz",
}
# Augmentation, mixing, dropout, averages, a learning rate that depends on the losses, views at the end, a first layer that whitens.
MUCH = {
    "optimizer": {"name": "SGD", "lr": 0.05, "momentum": 0.9, "nesterov": True},
    "augment": {"flip": "alternate", "crop": 2, "cutout": 3, "mixup": 0.5},
    "schedule": {"name": "plateau", "patience": 0, "warmup": 0.2},
    "ema": 0.9,
    "label_smoothing": 0.1,
    "class_weights": "balanced",
    "test_time": "flip+shift",
    "network": NetworkConfig(
        layers="conv8k2p0:whiten pool drop0.2 fc16", norm="batch", freeze="up-to conv1", logit_scale=0.5
    ),
}


class EngineContract:
    """`engine` is its name in a recipe, `checkpoint` the file of its saved state."""

    engine = ""
    checkpoint = ""

    @pytest.fixture
    def train(self):
        return train

    @pytest.fixture
    def dataset(self):
        return make_dataset()

    def job(self, dataset, **changes):
        return make_job(dataset, engine=self.engine, precision="float32", **changes)

    def test_a_finished_run_has_every_file_and_learned(self, train, tmp_path, dataset):
        summary = train(self.job(dataset, epochs=12, augment={}), tmp_path, dataset=dataset, threads=1)
        assert {path.name for path in tmp_path.iterdir()} - {".lock"} == FILES
        assert (summary.state, summary.stopped) == ("finished", "all 12 epochs were done")
        assert summary.test_accuracy > 0.9
        assert read(tmp_path).environment.engine == self.engine
        assert read(tmp_path).environment.threads == 1

    def test_a_first_layer_that_whitens_is_the_same_for_every_engine(self, train, tmp_path, dataset):
        network = NetworkConfig(layers="conv8k2p0:whiten pool fc8", freeze="up-to conv1")
        job = self.job(dataset, epochs=1, ema=0.9, network=network)
        assert train(job, tmp_path, dataset=dataset, threads=1).state == "finished"
        splits = split(dataset, job.data.validation, job.seed)
        images = dataset.train.images
        shape = (dataset.channels, dataset.height, dataset.width)
        wanted = whitening_weights(
            network, shape, len(dataset.classes), images, splits.train, *mean_std(images, splits.train)
        )
        final = load_file(tmp_path / "final.safetensors")
        assert np.array_equal(final["conv1.weight"], wanted["conv1.weight"])

    def test_a_word_that_the_door_does_not_know_is_refused(self, train, tmp_path, dataset):
        with pytest.raises(TypeError, match="thread"):
            train(self.job(dataset), tmp_path, dataset=dataset, thread=1)

    @pytest.mark.parametrize("steps", [1, 7, 12])
    @pytest.mark.parametrize("settings", [{}, MUCH], ids=["little", "much"])
    def test_a_stopped_run_goes_on_as_if_it_had_never_stopped(self, train, tmp_path, dataset, steps, settings):
        job = self.job(dataset, epochs=2, **settings)
        train(job, tmp_path / "whole", dataset=dataset, threads=1)
        left = iter([False] * steps)
        stopped = tmp_path / "stopped"
        assert train(job, stopped, dataset=dataset, threads=1, should_stop=lambda: next(left, True)) is None
        assert train(job, stopped, dataset=dataset, threads=1).state == "finished"
        assert files(stopped) == files(tmp_path / "whole")

    @pytest.mark.parametrize("settings", [{}, MUCH], ids=["little", "much"])
    def test_a_run_killed_after_any_save_goes_on_as_if_it_had_not_been(
        self, train, tmp_path, dataset, monkeypatch, settings
    ):
        """A save after every step and epoch; the kill comes right after some of them, another in each run."""
        monkeypatch.setattr("striate.engines.driver.AFTER_EPOCH_SECONDS", -1.0)
        monkeypatch.setattr("striate.engines.driver.WITHIN_EPOCH_SECONDS", -1.0)
        job = self.job(dataset, epochs=2, **settings)
        train(job, tmp_path / "whole", dataset=dataset, threads=1)
        real = driver.Driver._save
        for place in (1, 7, 8, 9, 16):
            saves = iter(range(1, 99))

            def save_and_die(self, place=place, saves=saves):
                real(self)
                if next(saves) == place:
                    raise KeyboardInterrupt

            folder = tmp_path / f"{place}"
            with monkeypatch.context() as killed:
                killed.setattr(driver.Driver, "_save", save_and_die)
                with pytest.raises(KeyboardInterrupt):
                    train(job, folder, dataset=dataset, threads=1)
            train(job, folder, dataset=dataset, threads=1)
            assert files(folder) == files(tmp_path / "whole"), place

    def test_a_run_goes_on_only_where_it_computes_as_before(self, train, tmp_path, dataset):
        job, left = self.job(dataset, epochs=2), iter([False] * 3)
        train(job, tmp_path, dataset=dataset, threads=1, should_stop=lambda: next(left, True))
        path = tmp_path / "env.json"
        here = path.read_text()
        elsewhere = json.dumps({**json.loads(here), "device": "cuda", "precision": "bf16"})
        path.write_text(elsewhere)
        with pytest.raises(
            TrainingError, match=r"began on cuda in bf16 and would resume on cpu in \w+; choose that --device"
        ):
            train(job, tmp_path, dataset=dataset, threads=1)
        assert path.read_text() == elsewhere
        path.write_text(here)
        assert train(job, tmp_path, dataset=dataset, threads=1).state == "finished"

    def test_each_attempt_reads_the_folder_once(self, train, tmp_path, dataset, monkeypatch):
        job, left, reads = self.job(dataset, epochs=2), iter([False] * 3), []
        parse = yaml.safe_load
        monkeypatch.setattr("striate.runs.reader.yaml.safe_load", lambda text: (reads.append(1), parse(text))[1])
        attempts = []
        for should_stop in (lambda: next(left, True), lambda: False, lambda: False):
            train(job, tmp_path, dataset=dataset, threads=1, should_stop=should_stop)
            attempts.append(len(reads))
            reads.clear()
        assert attempts == [0, 1, 1]  # new, resumed, finished

    def test_a_checkpoint_without_the_epochs_that_it_has_seen_is_refused(self, train, tmp_path, dataset):
        job, left = self.job(dataset, epochs=3), iter([False] * 12)
        train(job, tmp_path, dataset=dataset, threads=1, should_stop=lambda: next(left, True))
        (tmp_path / "metrics.jsonl").write_text("")
        with pytest.raises(RunError, match=f"metrics.jsonl: has 0 of the 1 epochs that {self.checkpoint} has done"):
            train(job, tmp_path, dataset=dataset, threads=1)

    def test_a_checkpoint_that_cannot_be_read_now_is_not_given_up(self, train, tmp_path, dataset):
        job, left = self.job(dataset, epochs=2), iter([False] * 3)
        train(job, tmp_path, dataset=dataset, threads=1, should_stop=lambda: next(left, True))
        (tmp_path / self.checkpoint).rename(tmp_path / "aside")
        (tmp_path / self.checkpoint).mkdir()
        with pytest.raises(
            RunError,
            match=rf"{self.checkpoint}: cannot be read \(Is a directory\); once it can, the same command resumes the run",
        ):
            train(job, tmp_path, dataset=dataset, threads=1)
        (tmp_path / self.checkpoint).rmdir()
        (tmp_path / "aside").rename(tmp_path / self.checkpoint)
        assert train(job, tmp_path, dataset=dataset, threads=1).state == "finished"

    def test_weighted_classes_save_the_small_one(self, train, tmp_path):
        """Six images of one class among 206: without weights the network never answers it."""
        few = unequal(make_dataset(300), 6)
        settings = {"epochs": 4, "augment": {}, "schedule": "constant", "optimizer": {"name": "Adam", "lr": 0.001}}
        settings["network"] = NetworkConfig(layers="conv4 pool fc8")
        found = {}
        for name in ("none", "balanced"):
            job = self.job(few, class_weights=name, **settings)
            found[name] = train(job, tmp_path / name, dataset=few, threads=1)
            rows = read(tmp_path / name).metrics
            chosen = [
                row.validation_balanced_accuracy if name == "balanced" else row.validation_accuracy for row in rows
            ]
            assert chosen[found[name].best_epoch - 1] == max(chosen)
        assert found["none"].test.per_class[2] < 0.1
        assert found["balanced"].test.balanced_accuracy > found["none"].test.balanced_accuracy + 0.2
        assert not found["balanced"].at_chance

    def test_seed_decides_and_nothing_else_does(self, train, tmp_path, dataset):
        for name, seed in (("a", 0), ("b", 0), ("c", 1)):
            np.random.seed(len(name))
            train(self.job(dataset, seed=seed, epochs=1), tmp_path / name, dataset=dataset, threads=1)
        a, b, c = (files(tmp_path / name) for name in "abc")
        assert a == b
        assert a["final.safetensors"] != c["final.safetensors"]

    def test_a_run_that_diverges_is_a_result(self, train, tmp_path, dataset):
        wild = self.job(dataset, optimizer={"name": "SGD", "lr": 1e30}, network=NetworkConfig(layers="conv8 fc16"))
        summary = train(wild, tmp_path, dataset=dataset, threads=1)
        assert summary.state == "diverged"
        assert "stopped being" in summary.reason
        assert train(wild, tmp_path, dataset=dataset, threads=1) == summary

    def test_early_stopping_and_watching(self, train, tmp_path, dataset):
        job = self.job(dataset, epochs=30, stop={"patience": 1}).replace(watch_test=True, watch_train=True)
        summary = train(job, tmp_path, dataset=dataset, threads=1)
        assert summary.epochs < 30
        assert summary.test_watched
        assert {"test_loss", "train_eval_accuracy"} <= read(tmp_path).metrics[0].to_json().keys()

    def test_the_averages_are_what_is_kept(self, train, tmp_path, dataset):
        for name, ema in (("plain", None), ("averaged", 0.9)):
            train(self.job(dataset, epochs=1, ema=ema), tmp_path / name, dataset=dataset, threads=1)
        plain, averaged = (load_file(tmp_path / name / "final.safetensors") for name in ("plain", "averaged"))
        assert plain.keys() == averaged.keys()
        assert not np.allclose(plain["conv1.weight"], averaged["conv1.weight"])

    def test_images_that_changed_are_refused(self, train, tmp_path, dataset):
        with pytest.raises(TrainingError, match="they changed meanwhile"):
            train(self.job(dataset).replace(digest="e" * 64), tmp_path, dataset=dataset, threads=1)
