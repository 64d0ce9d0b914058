"""The one door: a job and a folder in, a finished run folder out.

Promises: a run that is finished is not trained again; one that was stopped or killed goes on from its last
saved state and ends, on the CPU with the same threads, as if it had never stopped; the test part is
opened once, at the end, with the weights of the best epoch by validation.
"""

import contextlib
import hashlib
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from striate.core.errors import StriateError, TrainingError
from striate.data import Dataset, Part, load, mean_std, split
from striate.nets.freezing import learning
from striate.nets.torch_build import build
from striate.runs import Job, RunWriter, Summary, layout, read
from striate.runs.writer import say
from striate.training import optimizers
from striate.training.checkpoint import Checkpoints, save_weights
from striate.training.device import Setup, choose, move, own_random_numbers, prepare
from striate.training.environment import describe
from striate.training.evaluate import Evaluation, evaluate
from striate.training.feed import Feed
from striate.training.learner import Learner
from striate.training.loop import DivergedError, run_epoch

REASON = "the run ended; the epoch was chosen on validation"
REPORT_SECONDS = 0.2


@dataclass(frozen=True)
class Progress:
    """Where a run is, several times a second."""

    epoch: int  # that runs, from 1
    epochs: int
    share: float  # of the whole run, 0 to 1
    loss: float | None
    images_per_second: float
    validation_accuracy: float | None  # after the last finished epoch


def train(
    job: Job,
    folder: Path,
    *,
    dataset: Dataset | None = None,
    device: str = "auto",
    threads: int | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
    loggers: Sequence[str] = (),
    note: Callable[[str], None] = say,
) -> Summary | None:
    """Train `job` into `folder`, or go on with it; None when `should_stop` said so before the end.

    `loggers` get the numbers too; `note` is told of one that fails, and the run goes on without it.

    Raises:
        TrainingError: when the images are not those that the job names.
        StriateError: whatever else is the user's to mend. The summary then says `failed` and why, and the log has the traceback.
    """
    with RunWriter(folder, job, loggers, note) as writer:
        if (done := read(folder)).is_result:
            return Summary.model_validate(done.summary)
        try:
            dataset = dataset or load(job.data)
            if dataset.digest != job.digest:
                raise TrainingError(
                    f"the images of '{dataset.name}' are not those that this run was planned with; they changed meanwhile"
                )
            setup = choose(job.recipe, device, _threads_before(folder) or threads)
            prepare(setup)
            writer.environment(describe(setup))
            with own_random_numbers(setup):
                return _Training(job, dataset, setup, writer).run(report, should_stop)
        except Exception as error:
            # Out of memory is an exception too; whatever it was, the folder says so and the next attempt starts from the last save.
            _note_failure(writer, error)
            raise


class _Training:
    """One run while it lasts."""

    def __init__(self, job: Job, dataset: Dataset, setup: Setup, writer: RunWriter) -> None:
        self.job, self.dataset, self.setup, self.writer = job, dataset, setup, writer
        parts = split(dataset, job.data.validation, job.seed)
        self.mean, self.std = mean_std(dataset.train.images, parts.train)
        self.train_feed = self._feed(parts.part("train"))
        self.validation_feed = self._feed(parts.part("validation"))
        shape = (dataset.channels, dataset.height, dataset.width)
        module = move(build(job.network, shape, len(dataset.classes), job.seed), setup)
        optimizer = optimizers.build(job.recipe.optimizer, learning(module))
        self.learner = Learner(module, optimizer, job.seed, setup.device)
        self.checkpoints = Checkpoints(writer)

    def run(self, report: Callable[[Progress], None], should_stop: Callable[[], bool]) -> Summary | None:
        learner = self.learner
        done = self.checkpoints.resume(learner)
        rows = [row for row in read(self.writer.folder).metrics if row["epoch"] <= done]
        self.writer.rewind(rows)
        reporter = _Reporter(self, report, rows[-1]["validation_accuracy"] if rows else None)
        try:
            while learner.epoch < self.job.recipe.epochs:
                if learner.step == 0:
                    learner.begin_epoch()
                for _ in run_epoch(learner, self.train_feed, self.job.recipe, should_stop):
                    reporter.step()
                    self.checkpoints.maybe(learner, after_epoch=False)
                if learner.seen < len(self.train_feed):  # it was asked to stop
                    self.checkpoints.save(learner)
                    return None
                reporter.accuracy = self._end_epoch()
        except DivergedError as error:
            self.writer.append(self._row(None))
            return self._finish(Summary(**self._facts(), state="diverged", reason=str(error)))
        return self._finish(self._judge())

    def _end_epoch(self) -> float:
        """Look at validation, note the epoch, remember the best; the validation accuracy."""
        learner, started = self.learner, time.perf_counter()
        seen = evaluate(learner.module, self.validation_feed)
        if not np.isfinite(seen.loss):
            raise DivergedError(f"the outputs stopped being finite numbers by the end of epoch {learner.epoch + 1}")
        learner.epoch += 1
        learner.best.offer(learner.epoch, seen.accuracy, seen.loss, learner.module)
        learner.seconds += learner.epoch_seconds + time.perf_counter() - started
        self.writer.append(self._row(seen))
        learner.step = 0
        self.checkpoints.maybe(learner, after_epoch=True)
        return seen.accuracy

    def _row(self, seen: Evaluation | None) -> dict[str, Any]:
        """The numbers of an epoch; `seen` is None for the epoch that a run diverged in, which has no end."""
        learner = self.learner
        loss, accuracy = learner.look()
        return {
            "epoch": learner.epoch if seen else learner.epoch + 1,
            "train_loss": _finite(loss),
            "train_accuracy": accuracy if seen else None,
            "validation_loss": _finite(seen.loss) if seen else None,
            "validation_accuracy": seen.accuracy if seen else None,
            "learning_rate": learner.optimizer.param_groups[0]["lr"],
            "images_per_second": round(learner.seen / learner.epoch_seconds, 1),
            "seconds": round(learner.seconds, 3),
        }

    def _judge(self) -> Summary:
        """Weights and predictions to files; the test part, opened with the best epoch's weights."""
        learner, best = self.learner, self.learner.best
        save_weights(self.writer, layout.FINAL, learner.module.state_dict())
        save_weights(self.writer, layout.BEST, best.weights)
        learner.module.load_state_dict(best.weights)
        part = self.dataset.open_test(REASON)
        validation = evaluate(learner.module, self.validation_feed)
        test = evaluate(learner.module, self._feed(part))
        self.writer.save(layout.PREDICTIONS, lambda path: _write_predictions(path, validation, test))
        facts = self._facts()
        facts["data"]["test_digest"] = _digest(part)
        return Summary(
            **facts,
            state="finished",
            best_epoch=best.epoch,
            validation_accuracy=validation.accuracy,
            validation_loss=_finite(validation.loss),
            test_accuracy=test.accuracy,
            test_loss=_finite(test.loss),
            test_images=len(test.labels),
            test_opened_because=REASON,
            at_chance=_at_chance(validation),
        )

    def _finish(self, summary: Summary) -> Summary:
        self.writer.finish(summary)
        return summary

    def _facts(self) -> dict[str, Any]:
        dataset = self.dataset
        return {
            "epochs": self.learner.epoch,
            "seconds": round(self.learner.seconds, 3),
            "parameters": sum(parameter.numel() for parameter in self.learner.module.parameters()),
            "classes": len(dataset.classes),
            "data": {
                "name": dataset.name,
                "classes": list(dataset.classes),
                "train": len(self.train_feed),
                "validation": len(self.validation_feed),
                "test": dataset.test_size,
                "shape": [dataset.channels, dataset.height, dataset.width],
                "mean": self.mean.tolist(),
                "std": self.std.tolist(),
                "notes": list(dataset.notes),
                "digest": dataset.digest,
            },
        }

    def _feed(self, part: Part) -> Feed:
        return Feed(part.images, part.labels, self.mean, self.std, self.setup)


class _Reporter:
    """Tells `report` where the run is, not more often than a person can read."""

    def __init__(self, training: _Training, report: Callable[[Progress], None], accuracy: float | None) -> None:
        self._training, self._report, self._told = training, report, 0.0
        self.accuracy = accuracy

    def step(self) -> None:
        learner, images = self._training.learner, len(self._training.train_feed)
        now = time.monotonic()
        if now - self._told < REPORT_SECONDS and learner.seen < images:
            return
        self._told = now
        epochs = self._training.job.recipe.epochs
        self._report(
            Progress(
                epoch=learner.epoch + 1,
                epochs=epochs,
                share=(learner.epoch + learner.seen / images) / epochs,
                loss=_finite(learner.mean_loss),
                images_per_second=learner.seen / learner.epoch_seconds,
                validation_accuracy=self.accuracy,
            )
        )


def _threads_before(folder: Path) -> int | None:
    """The threads that this run used so far: a resumed run uses them again, for the same bits."""
    return read(folder).environment.get("threads")


def _note_failure(writer: RunWriter, error: Exception) -> None:
    """Leave the reason in the folder. A full disk may refuse that too, and must not hide the error itself."""
    with contextlib.suppress(StriateError, OSError):
        writer.log("".join(traceback.format_exception(error)))
        writer.finish(
            Summary(
                state="failed", reason=str(error) or type(error).__name__, epochs=0, seconds=0, parameters=0, classes=0
            )
        )


def _digest(part: Part) -> str:
    """Names the images and labels of a part."""
    found = hashlib.sha256(np.ascontiguousarray(part.images).data)
    found.update(np.ascontiguousarray(part.labels).data)
    return found.hexdigest()


def _write_predictions(path: Path, validation: Evaluation, test: Evaluation) -> None:
    with path.open("wb") as file:
        np.savez_compressed(
            file,
            validation_logits=validation.logits,
            validation_labels=validation.labels,
            test_logits=test.logits,
            test_labels=test.labels,
        )


def _at_chance(seen: Evaluation) -> bool:
    """Whether it is right no more often than guessing would be, within three standard deviations of luck."""
    chance = 1 / seen.logits.shape[1]
    return seen.accuracy <= chance + 3 * (chance * (1 - chance) / len(seen.labels)) ** 0.5


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
