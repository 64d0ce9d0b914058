"""The contenders of the speed benchmark, each as its own users would write it, with its defaults.

Each is a function of a case, the settings of the run and a stopwatch, which it calls after each step.
"""

import contextlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import WARMUP_STEPS, StopTrainingError, Stopwatch
from networks import Case, keras_layers, torch_module
from plain import checking_bf16, load_images, pil_image, torch_dataset, torch_optimizer, train_plain

Run = Callable[[Case, dict[str, Any], Stopwatch], dict[str, Any]]


def plain(workers: int, bf16: bool) -> Run:
    def run(case: Case, config: dict[str, Any], watch: Stopwatch) -> dict[str, Any]:
        train_plain(case, config, workers, bf16, watch)
        return {}

    return run


def lightning(precision: str | None) -> Run:
    def run(case: Case, config: dict[str, Any], watch: Stopwatch) -> dict[str, Any]:
        import pytorch_lightning as pl
        from torch.nn import functional
        from torch.utils.data import DataLoader

        class Classifier(pl.LightningModule):
            def __init__(self) -> None:
                super().__init__()
                self.net = torch_module(case.steps, case.channels)

            def forward(self, x: Any) -> Any:
                return self.net(x)

            def training_step(self, batch: Any, _index: int) -> Any:
                x, y = batch
                return functional.cross_entropy(self(x), y)

            def validation_step(self, batch: Any, _index: int) -> None:
                x, y = batch
                self.log("accuracy", (self(x).argmax(1) == y).float().mean())

            def configure_optimizers(self) -> Any:
                return torch_optimizer(case, self.parameters())

        class Watch(pl.Callback):
            def on_train_start(self, *_: Any) -> None:
                watch.begin()

            def on_train_batch_end(self, trainer: Any, _module: Any, _out: Any, batch: Any, _index: int) -> None:
                trainer.should_stop |= watch.step(len(batch[1]))

            def on_validation_epoch_end(self, trainer: Any, _module: Any) -> None:
                if not trainer.sanity_checking and watch.target is not None:
                    trainer.should_stop |= watch.validated(float(trainer.callback_metrics["accuracy"]))

        images = load_images(case, config)
        pl.seed_everything(config["seed"])
        loaders = [DataLoader(torch_dataset(images.train, images, case.augment), case.batch_size, shuffle=True)]
        if watch.target is not None:
            loaders.append(DataLoader(torch_dataset(images.validation, images, False), 500))
        module = Classifier()
        options = {"precision": precision} if precision else {}
        with tempfile.TemporaryDirectory() as folder, checking_bf16(module, precision is not None):
            trainer = pl.Trainer(
                max_epochs=config["epochs"], min_epochs=0, callbacks=[Watch()], default_root_dir=folder, **options
            )
            trainer.fit(module, *loaders)
        return {"version": pl.__version__}

    return run


def keras(policy: str | None) -> Run:
    def run(case: Case, config: dict[str, Any], watch: Stopwatch) -> dict[str, Any]:
        os.environ["KERAS_BACKEND"] = "torch"
        import keras
        from keras import layers

        class Watch(keras.callbacks.Callback):
            def on_train_begin(self, logs: Any = None) -> None:
                watch.begin()

            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                if watch.step(
                    case.batch_size
                ):  # the last batch of an epoch may have fewer: less than a step in an epoch
                    raise StopTrainingError

            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
                if watch.target is not None and watch.validated(float(logs["val_accuracy"])):
                    raise StopTrainingError

        images = load_images(case, config)
        keras.utils.set_random_seed(config["seed"])
        if policy:
            keras.config.set_dtype_policy(policy)
        inputs = x = keras.Input((32, 32, case.channels), dtype="uint8")
        x = layers.Rescaling(1 / 255)(x)
        if case.augment:
            # The shift that padding by 4 and a crop make, in whole pixels; Keras' own RandomCrop leaves the padding on
            # where it is not training.
            shift = layers.RandomTranslation(4 / 32, 4 / 32, fill_mode="constant", interpolation="nearest")
            x = layers.RandomFlip("horizontal")(shift(x))
        x = layers.Normalization(mean=images.mean, variance=[std**2 for std in images.std])(x)
        model = keras.Model(inputs, keras_layers(case.steps, x))
        name, arguments = case.optimizer
        # As torch's, where Keras' own defaults differ.
        same = {"Adadelta": {"rho": 0.9, "epsilon": 1e-6}, "Adam": {"epsilon": 1e-8}}.get(name, {})
        model.compile(
            getattr(keras.optimizers, name)(learning_rate=arguments["lr"], **same),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        validation = (images.validation.images, images.validation.labels) if watch.target is not None else None
        with contextlib.suppress(StopTrainingError):
            model.fit(
                *(images.train.images, images.train.labels),
                batch_size=case.batch_size,
                epochs=config["epochs"],
                validation_data=validation,
                callbacks=[Watch()],
            )
        return {"version": keras.__version__, "parameters": model.count_params() - _fixed_parameters(model)}

    return run


def _fixed_parameters(model: Any) -> int:
    """Keras counts the running statistics of its norms, and what normalization and random layers keep, among its parameters."""
    return sum(int(weight.value.numel()) for weight in model.non_trainable_weights)


def fastai(bf16: bool) -> Run:
    def run(case: Case, config: dict[str, Any], watch: Stopwatch) -> dict[str, Any]:
        import fastai
        import torch
        from fastai.callback.core import Callback, CancelFitException
        from fastai.callback.fp16 import MixedPrecision  # noqa: F401 - gives Learner its to_bf16
        from fastai.data.all import CategoryBlock, DataBlock, Normalize
        from fastai.learner import Learner
        from fastai.metrics import accuracy
        from fastai.optimizer import OptimWrapper
        from fastai.vision.augment import CropPad, Flip, RandomCrop
        from fastai.vision.core import PILImage, PILImageBW
        from fastai.vision.data import ImageBlock

        class Watch(Callback):
            order = 60  # after fastai's own recorder

            def before_fit(self) -> None:
                watch.begin()

            def after_batch(self) -> None:
                if self.training and watch.step(len(self.y)):
                    raise CancelFitException

            def after_epoch(self) -> None:
                if watch.target is not None and watch.validated(float(self.recorder.values[-1][-1])):
                    raise CancelFitException

        images = load_images(case, config)
        torch.manual_seed(config["seed"])
        image_class = PILImageBW if case.channels == 1 else PILImage
        count, total = len(images.train), len(images.train) + len(images.validation)

        def part_and_index(item: int) -> tuple[Any, int]:
            return (images.train, item) if item < count else (images.validation, item - count)

        def get_x(item: int) -> Any:
            part, index = part_and_index(item)
            return image_class(pil_image(part.images[index]))

        def get_y(item: int) -> int:
            part, index = part_and_index(item)
            return int(part.labels[index])

        block = DataBlock(
            blocks=(ImageBlock(image_class), CategoryBlock(vocab=list(range(10)))),
            get_x=get_x,
            get_y=get_y,
            splitter=lambda items: (list(range(count)), list(range(count, total))),
            item_tfms=[CropPad(40), RandomCrop(32)] if case.augment else [],
            batch_tfms=[*([Flip()] if case.augment else []), Normalize.from_stats(images.mean, images.std)],
        )
        loaders = block.dataloaders(list(range(total)), bs=case.batch_size)
        name, arguments = case.optimizer

        def optimizer(parameters: Any, **changes: Any) -> Any:
            return OptimWrapper(parameters, getattr(torch.optim, name), **{**arguments, **changes})

        learner = Learner(
            loaders,
            torch_module(case.steps, case.channels),
            loss_func=torch.nn.CrossEntropyLoss(),
            opt_func=optimizer,
            metrics=accuracy,
            cbs=[Watch()],
        )
        if bf16:
            learner.to_bf16()
        with checking_bf16(learner.model, bf16):
            learner.fit(config["epochs"], lr=case.lr)
        return {"version": fastai.__version__}

    return run


def striate(case: Case, config: dict[str, Any], watch: Stopwatch) -> dict[str, Any]:
    """With its defaults: only what a study file would give is set.

    Progress is reported several times a second; the time between two reports of an epoch is that of the steps between them.
    """
    from striate.data import DataConfig, load
    from striate.engines.select import train
    from striate.nets import NetworkConfig
    from striate.recipes import Recipe
    from striate.runs import Job, read
    from striate.studies.execute.worker import keep_freed_memory

    keep_freed_memory()  # as a study's worker process does
    data = DataConfig(source=config["data"], limit=config["limit"], channels=case.channels)
    dataset = load(data)
    name, arguments = case.optimizer
    recipe = Recipe(
        optimizer={"name": name, **arguments},
        batch_size=case.batch_size,
        # An epoch's validation is reported at the first step of the next epoch, so the last epoch needs a next one.
        epochs=config["epochs"] + (watch.target is not None),
        augment={"flip": True, "crop": 4} if case.augment else "none",
    )
    network = NetworkConfig(**case.striate)
    job = Job(data=data, digest=dataset.digest, network=network, recipe=recipe, seed=config["seed"])
    clock = _ProgressClock(watch, recipe.epochs, _training_images(dataset, data, config["seed"]))

    watch.begin()
    with tempfile.TemporaryDirectory() as folder:
        train(job, Path(folder), dataset=dataset, report=clock.report, should_stop=lambda: clock.is_done)
        run = read(Path(folder))
    return {"version": run.environment.precision if run.environment else ""}


def _training_images(dataset: Any, data: Any, seed: int) -> int:
    from striate.data import split

    return int(split(dataset, data.validation, seed).size("train"))


class _ProgressClock:
    """Turns Striate's progress reports into results of the stopwatch."""

    def __init__(self, watch: Stopwatch, epochs: int, images: int) -> None:
        self.watch, self.epochs, self.images = watch, epochs, images
        self.is_done = False
        self._reports = 0
        self._before = (0, 0.0, 0.0)  # epoch, images and seconds within it
        self._timed = (0.0, 0.0)
        self._began = time.perf_counter()

    def report(self, progress: Any) -> None:
        images = (progress.share * self.epochs - (progress.epoch - 1)) * self.images
        seconds = images / progress.images_per_second
        epoch, images_before, seconds_before = self._before
        self._before = (progress.epoch, images, seconds)
        if self.watch.target is not None:
            if progress.validation_accuracy is not None and epoch < progress.epoch:
                self.is_done = self.watch.validated(progress.validation_accuracy)
            return
        self._reports += 1
        is_warm = self._reports > WARMUP_STEPS and time.perf_counter() - self._began >= self.watch.warmup_seconds
        if epoch < progress.epoch:
            images_before = seconds_before = 0.0  # a fast epoch has one report only, at its end
        if is_warm:
            self._timed = (self._timed[0] + images - images_before, self._timed[1] + seconds - seconds_before)
            self.watch.results = {"images_per_second": self._timed[0] / self._timed[1]}
            self.is_done = self._timed[1] >= self.watch.seconds


CONTENDERS: dict[str, Run] = {
    "plain, 0 workers": plain(0, bf16=False),
    "plain, 2 workers": plain(2, bf16=False),
    "plain bf16, 0 workers": plain(0, bf16=True),
    "plain bf16, 2 workers": plain(2, bf16=True),
    "lightning": lightning(None),
    "lightning bf16-mixed": lightning("bf16-mixed"),
    "keras": keras(None),
    "keras mixed_bfloat16": keras("mixed_bfloat16"),
    "fastai": fastai(bf16=False),
    "fastai bf16": fastai(bf16=True),
    "striate": striate,
}
