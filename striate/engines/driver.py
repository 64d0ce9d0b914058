"""The way of a run from its folder to its summary, whatever engine trains it.

Promises: a run that is finished is not trained again; one that was stopped or killed goes on from its last
saved state and ends, on the CPU with the same threads, as if it had never stopped; the test part is opened
once, at the end, with the weights of the best epoch by validation, unless the study watches it.
"""

import contextlib
import hashlib
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from safetensors.numpy import save

from striate.core.errors import RunError, StriateError, TrainingError
from striate.data import Dataset, Part, load, mean_std, split
from striate.engines.inputs import Progress, RunInputs
from striate.engines.metrics import scores
from striate.engines.protocol import DivergedError, Engine, Evaluation
from striate.recipes import plateau_factor, stop_reason
from striate.runs import layout
from striate.runs.records import DataFacts, EpochRow, Job, RunEnvironment, Summary
from striate.runs.writer import RunWriter
from striate.tracking.loggers import Loggers, print_note

REASON = "the run ended; the epoch was chosen on validation"
WATCHED = "the study watches it in every epoch (watch_test); the epoch was chosen on validation"
REPORT_SECONDS = 0.2
# What a kill may cost, at most.
AFTER_EPOCH_SECONDS = 5.0
WITHIN_EPOCH_SECONDS = 60.0


# From the setting and the number of threads, None for the engine's choice, to an engine at the first step.
MakeEngine = Callable[[RunInputs, int | None], Engine]


def drive(
    job: Job,
    folder: Path,
    make_engine: MakeEngine,
    *,
    dataset: Dataset | None = None,
    threads: int | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
    loggers: Sequence[str] = (),
    note: Callable[[str], None] = print_note,
    facts: Mapping[str, Any] = MappingProxyType({}),
) -> Summary | None:
    """Train `job` into `folder`, or go on with it; None when `should_stop` said so before the end.

    Raises:
        TrainingError: when the images are not those that the job names.
        StriateError: whatever else is the user's to mend. The summary then says `failed` and why, and the log has the traceback.
    """
    writer = RunWriter(folder, job)
    trackers = Loggers(loggers, writer, note)
    with writer, trackers:
        before = writer.run
        if before and before.is_result:
            if before.state == "finished":
                writer.path(layout.CHECKPOINT).unlink(missing_ok=True)  # a kill may have come between the two
            return before.summary
        try:
            dataset = dataset or load(job.data)
            if dataset.digest != job.digest:
                raise TrainingError(
                    f"the images of '{dataset.name}' are not those that this run was planned with; they changed meanwhile"
                )
            if job.network.weights_digest() != job.weights:
                raise TrainingError(
                    f"the weights in {job.network.pretrained} are not those that this run was planned with"
                )
            splits = split(dataset, job.data.validation, job.seed)
            setting = RunInputs(job, dataset, splits, *mean_std(dataset.train.images, splits.train))
            earlier = before.environment if before else None
            engine = make_engine(setting, (earlier and earlier.threads) or threads)
            environment = RunEnvironment.model_validate({**engine.environment(), **facts})
            if writer.path(layout.CHECKPOINT).exists():
                _check_same(earlier, environment, folder)
            writer.environment(environment)
            return Driver(setting, writer, trackers, engine).run(report, should_stop)
        except Exception as error:
            # Out of memory is an exception too; whatever it was, the folder says so and the next attempt starts from the last save.
            _note_failure(writer, trackers, error)
            raise


class Driver:
    """One run while it lasts."""

    def __init__(self, setting: RunInputs, writer: RunWriter, loggers: Loggers, engine: Engine) -> None:
        self.setting, self.writer, self.loggers, self.engine = setting, writer, loggers, engine
        self.job, self.recipe, self.dataset = setting.job, setting.job.recipe, setting.dataset
        job, dataset, splits = setting.job, setting.dataset, setting.splits
        self.sizes = {which: splits.size(which) for which in ("train", "validation")}
        validation = splits.part("validation")
        self.feeds = {"validation": engine.feed(validation)}
        # What saying the commonest class of every image would be right in.
        self.chance = float(np.bincount(validation.labels).max() / len(validation.labels))
        if job.watch_train:
            self.feeds["train_eval"] = engine.train_feed
        if job.watch_test:
            self.feeds["test"] = engine.feed(dataset.open_test(WATCHED))
        self.rows: list[EpochRow] = []
        self.stopped = ""
        self._saved = time.monotonic()

    def run(self, report: Callable[[Progress], None], should_stop: Callable[[], bool]) -> Summary | None:
        """Epoch after epoch to the summary."""
        self._resume()
        train_state = self.engine.train_state
        reporter = _Reporter(self, report)
        try:
            while not self._is_over():
                if train_state.step == 0:
                    self.engine.begin_epoch()
                scale = plateau_factor(
                    self.recipe.schedule, [row.validation_loss for row in self.rows if row.validation_loss is not None]
                )
                for _ in self.engine.steps(scale, should_stop):
                    reporter.step()
                    if time.monotonic() - self._saved > WITHIN_EPOCH_SECONDS:
                        self._save()
                if train_state.seen < self.sizes["train"]:  # it was asked to stop
                    self._save()
                    return None
                self._end_epoch()
        except DivergedError as error:
            return self._diverged(error)
        return self._judge(should_stop)

    def _is_over(self) -> bool:
        done = self.engine.train_state.epoch
        self.stopped = f"all {done} epochs were done" if done >= self.recipe.epochs else ""
        self.stopped = self.stopped or stop_reason(self.recipe.stop, self.rows)
        return bool(self.stopped)

    def _end_epoch(self) -> None:
        """RunningStats at validation, note the epoch, remember the best."""
        engine, train_state, started = self.engine, self.engine.train_state, time.perf_counter()
        if not engine.is_sound():  # statistics of norms can break where no loss shows it
            raise DivergedError(f"the weights stopped being finite numbers by the end of epoch {train_state.epoch + 1}")
        with engine.eval_weights():
            seen = {name: engine.evaluate(feed) for name, feed in self.feeds.items()}
            if not np.isfinite(seen["validation"].loss):
                raise DivergedError(
                    f"the outputs stopped being finite numbers by the end of epoch {train_state.epoch + 1}"
                )
            train_state.epoch += 1
            if train_state.offer(seen["validation"].accuracy, seen["validation"].loss):
                engine.keep_best()
        train_state.seconds += train_state.epoch_seconds + time.perf_counter() - started
        self._append(self._row(train_state.epoch, seen))
        train_state.step = 0
        if time.monotonic() - self._saved > AFTER_EPOCH_SECONDS:
            self._save()

    def _row(self, epoch: int, seen: Mapping[str, Evaluation]) -> EpochRow:
        """The numbers of an epoch; `seen` is empty for the epoch that a run diverged in, which has no end."""
        train_state, look, validation = self.engine.train_state, self.engine.running_stats(), seen.get("validation")
        train_eval, test = seen.get("train_eval"), seen.get("test")
        return EpochRow(
            epoch=epoch,
            train_loss=_finite(look.loss),
            train_accuracy=look.accuracy if seen else None,
            validation_loss=_finite(validation.loss) if validation else None,
            validation_accuracy=validation.accuracy if validation else None,
            train_eval_loss=_finite(train_eval.loss) if train_eval else None,
            test_loss=_finite(test.loss) if test else None,
            train_eval_accuracy=train_eval.accuracy if train_eval else None,
            test_accuracy=test.accuracy if test else None,
            learning_rate=self.engine.rate,
            gradient_norm=None if look.gradient_norm is None else _finite(look.gradient_norm),
            dead_units=validation.dead_units if validation else None,
            images_per_second=round(train_state.seen / train_state.epoch_seconds, 1)
            if train_state.epoch_seconds
            else None,
            seconds=round(train_state.seconds, 3),
        )

    def _append(self, row: EpochRow) -> None:
        self.rows.append(row)
        self.writer.append(row)
        self.loggers.log([row])

    def _judge(self, should_stop: Callable[[], bool]) -> Summary | None:
        """Weights and predictions to files; the test part, opened with the best epoch's weights. None if asked to stop meanwhile."""
        engine = self.engine
        with engine.eval_weights():
            self._save_weights(layout.FINAL, engine.weights())
        self._save_weights(layout.BEST, engine.best)
        engine.use_best()
        reason = WATCHED if self.job.watch_test else REASON
        part = self.dataset.open_test(reason)
        validation = engine.evaluate(self.feeds["validation"], self.recipe.test_time)
        test = engine.evaluate(engine.feed(part), self.recipe.test_time)
        self.writer.save(layout.PREDICTIONS, lambda path: _write_predictions(path, validation, test))
        at_chance = _at_chance(validation, self.chance)
        cause = self._diagnose(should_stop) if at_chance else ""
        if at_chance and should_stop():
            return None  # what was found may be cut short; the run goes on from its last save
        summary = Summary(
            **self._facts(test_digest=_digest(part)),
            state="finished",
            reason=cause,
            stopped=self.stopped,
            best_epoch=engine.train_state.best_epoch,
            validation_accuracy=validation.accuracy,
            validation_loss=_finite(validation.loss),
            test_accuracy=test.accuracy,
            test_loss=_finite(test.loss),
            test_images=len(test.labels),
            test_opened_because=reason,
            test_watched=self.job.watch_test,
            at_chance=at_chance,
            validation=scores(validation.logits, validation.labels),
            test=scores(test.logits, test.labels),
        )
        return self._finish(summary)

    def _diagnose(self, should_stop: Callable[[], bool]) -> str:
        """Why it learned nothing. A look that fails, out of memory perhaps, must not take the result with it."""
        try:
            return self.engine.diagnose(self.rows, should_stop)
        except Exception:
            self.writer.log(
                f"No reason was found for a run at chance, because looking failed:\n{traceback.format_exc()}"
            )
            return ""

    def _diverged(self, error: DivergedError) -> Summary:
        """The end of a run whose numbers broke. Its last save was sound and stays, and so do the best weights."""
        train_state = self.engine.train_state
        train_state.seconds += train_state.epoch_seconds
        self._append(self._row(train_state.epoch + 1, {}))
        if self.engine.best:
            self._save_weights(layout.BEST, self.engine.best)
        watched = {"test_watched": True, "test_opened_because": WATCHED} if self.job.watch_test else {}
        best = train_state.best_epoch or None
        return self._finish(Summary(**self._facts(), **watched, state="diverged", reason=str(error), best_epoch=best))

    def _finish(self, summary: Summary) -> Summary:
        self.writer.finish(summary)
        self.loggers.end(summary)
        return summary

    def _facts(self, **of_test: str) -> dict[str, Any]:
        dataset = self.dataset
        return {
            "epochs": self.engine.train_state.epoch,
            "seconds": round(self.engine.train_state.seconds, 3),
            "parameters": self.engine.parameters,
            "classes": len(dataset.classes),
            "data": DataFacts(
                name=dataset.name,
                classes=tuple(dataset.classes),
                **self.sizes,
                test=dataset.test_size,
                shape=(dataset.channels, dataset.height, dataset.width),
                mean=tuple(self.setting.mean.tolist()),
                std=tuple(self.setting.std.tolist()),
                notes=tuple(dataset.notes),
                digest=dataset.digest,
                chance=self.chance,
                **of_test,
            ),
        }

    def _resume(self) -> None:
        """Take up the saved state, if there is one, and the rows of the epochs that it has seen."""
        path = self.writer.path(layout.CHECKPOINT)
        if path.exists():
            try:
                self.engine.load(path)
            except (MemoryError, StriateError):
                raise
            except OSError as error:
                raise RunError(
                    f"{path}: cannot be read ({error.strerror}); once it can, the same command goes on"
                ) from error
            except Exception as error:
                raise RunError(f"{path}: cannot be read ({error}); remove the run's folder to train it anew") from error
        metrics = self.writer.run.metrics if self.writer.run else ()
        self.rows = [row for row in metrics if row.epoch <= self.engine.train_state.epoch]
        if len(self.rows) < self.engine.train_state.epoch:  # stopping and the learning rate may follow from them
            raise RunError(
                f"{self.writer.path(layout.METRICS)}: has {len(self.rows)} of the {self.engine.train_state.epoch} epochs that "
                f"{layout.CHECKPOINT} has seen; remove the run's folder to train it anew"
            )
        self.writer.rewind(self.rows)
        self.loggers.log(self.rows)

    def _save(self) -> None:
        """The whole state to the checkpoint. One that is broken is not worth going back to: the last sound one stays.

        Nothing else follows from it, because when a run is saved must not decide how it ends.
        """
        if self.engine.is_sound():
            self.writer.save(layout.CHECKPOINT, self.engine.save)
        self._saved = time.monotonic()

    def _save_weights(self, name: str, weights: Mapping[str, np.ndarray]) -> None:
        # Not np.ascontiguousarray, which makes a number an array of one.
        held = save({key: np.asarray(array, order="C") for key, array in weights.items()})
        self.writer.save(name, lambda path: _write(path, held))


class _Reporter:
    """Tells `report` where the run is, not more often than a person can read."""

    def __init__(self, driver: Driver, report: Callable[[Progress], None]) -> None:
        self._driver, self._report, self._told = driver, report, 0.0

    def step(self) -> None:
        driver, train_state = self._driver, self._driver.engine.train_state
        images, epochs, now = driver.sizes["train"], driver.recipe.epochs, time.monotonic()
        if now - self._told < REPORT_SECONDS and train_state.seen < images:
            return
        self._told = now
        self._report(
            Progress(
                epoch=train_state.epoch + 1,
                epochs=epochs,
                share=(train_state.epoch + train_state.seen / images) / epochs,
                loss=_finite(driver.engine.running_stats().loss),
                images_per_second=train_state.seen / train_state.epoch_seconds,
                validation_accuracy=driver.rows[-1].validation_accuracy if driver.rows else None,
            )
        )


def _check_same(before: RunEnvironment | None, now: RunEnvironment, folder: Path) -> None:
    """Half a run in bf16 and half in float32 would be neither."""
    here = (now.device, now.precision)
    then = (before.device or now.device, before.precision or now.precision) if before else here
    if then != here:
        cure = "go on where it was begun" if then[0] == here[0] else "choose that --device, go on where it was begun"
        raise TrainingError(
            f"{folder}: was begun on {' in '.join(then)} and would go on on {' in '.join(here)}; {cure}, or remove the folder "
            "to train it anew"
        )


def _note_failure(writer: RunWriter, loggers: Loggers, error: Exception) -> None:
    """Leave the reason in the folder. A full disk may refuse that too, and must not hide the error itself."""
    with contextlib.suppress(StriateError, OSError):
        writer.log("".join(traceback.format_exception(error)))
        loggers.end(writer.finish(Summary.failed(str(error) or type(error).__name__)))


def _digest(part: Part) -> str:
    """Names the images and labels of a part."""
    found = hashlib.sha256(np.ascontiguousarray(part.images).data)
    found.update(np.ascontiguousarray(part.labels).data)
    return found.hexdigest()


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _write_predictions(path: Path, validation: Evaluation, test: Evaluation) -> None:
    with path.open("wb") as file:
        np.savez_compressed(
            file,
            validation_logits=validation.logits,
            validation_labels=validation.labels,
            test_logits=test.logits,
            test_labels=test.labels,
        )


def _at_chance(seen: Evaluation, chance: float) -> bool:
    """Whether it is right no more often than guessing would be, within three standard deviations of luck."""
    return seen.accuracy <= chance + 3 * (chance * (1 - chance) / len(seen.labels)) ** 0.5


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
