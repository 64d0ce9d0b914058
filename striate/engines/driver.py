"""A run from its folder to its summary, with any engine.

Promises: a finished run is not trained again. A run that was stopped or killed resumes from its last saved state; on a
CPU with the same number of threads it ends as if it had never stopped. The test part is opened once, at the end, with
the weights of the best epoch on validation, unless the study watches it.
"""

import contextlib
import hashlib
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from striate.core.errors import RunError, StriateError, TrainingError
from striate.data import Dataset, Part, load
from striate.engines.inputs import Progress, RunInputs
from striate.engines.loop import TrainingLoop
from striate.engines.metrics import is_at_chance, majority_share, scores
from striate.engines.protocol import DivergedError, Engine, Evaluation, TrainState
from striate.nets.summary.summarize import summarize
from striate.recipes import plateau_factor, stop_reason
from striate.runs import layout
from striate.runs.records import EpochRow, Job, RunEnvironment, State, Summary
from striate.runs.writer import RunWriter
from striate.tracking.loggers import Loggers, print_note

REASON = "the run ended; the epoch was chosen on validation"
WATCHED = "the study watches it in every epoch (watch_test); the epoch was chosen on validation"
REPORT_SECONDS = 0.2
# How much training a kill may lose, at most: after an epoch, and within one.
AFTER_EPOCH_SECONDS = 5.0
WITHIN_EPOCH_SECONDS = 60.0

# From the inputs, a number of threads (None: the engine chooses) and the environment that the run began in, if it is resumed, to an
# engine before its first step. On exit the process is as it was before.
OpenEngine = Callable[[RunInputs, int | None, RunEnvironment | None], AbstractContextManager[Engine]]


def drive(
    job: Job,
    folder: Path,
    open_engine: OpenEngine,
    *,
    dataset: Dataset | None = None,
    threads: int | None = None,
    report: Callable[[Progress], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
    loggers: Sequence[str] = (),
    note: Callable[[str], None] = print_note,
    runs_at_once: int | None = None,
) -> Summary | None:
    """Train `job` into `folder`, or resume it. None when `should_stop` stopped it before the end.

    Raises:
        TrainingError: when the images or the initial weights are not those that the job names.
        StriateError: for whatever else the user can mend. The summary then says `failed` and why, and the log has the traceback.
    """
    writer = RunWriter(folder, job)
    trackers = Loggers(loggers, writer, note)
    with writer, trackers:
        previous = writer.run
        if previous and previous.is_result:
            if previous.state == "finished":
                writer.remove_checkpoints()  # a kill may have come between the summary and this
            return previous.summary
        try:
            inputs = RunInputs.of(job, dataset or load(job.data))
            earlier = previous.environment if previous else None
            with open_engine(inputs, (earlier and earlier.threads) or threads, earlier) as engine:
                _write_network(writer, inputs)
                environment = engine.environment()
                if runs_at_once is not None:
                    environment = environment.model_copy(update={"runs_at_once": runs_at_once})
                driver = Driver(inputs, writer, trackers, engine)
                if driver.checkpoint() is not None:
                    _check_same_device(earlier, environment, folder)
                writer.environment(environment)
                return driver.run(report, should_stop)
        except Exception as error:
            # Whatever it was, out of memory too: the folder says so, and the next attempt resumes from the last save.
            _note_failure(writer, trackers, error)
            raise


class Driver:
    """A run in progress."""

    def __init__(self, inputs: RunInputs, writer: RunWriter, loggers: Loggers, engine: Engine) -> None:
        self.inputs, self.writer, self.loggers, self.engine = inputs, writer, loggers, engine
        self.job, self.recipe, self.dataset = inputs.job, inputs.job.recipe, inputs.dataset
        self.loop = TrainingLoop(engine, inputs)
        validation = inputs.splits.part("validation")
        self.chance = majority_share(validation.labels)
        self.is_balanced = self.recipe.class_weights == "balanced"
        engine.add_split("validation", validation)
        self.splits = {"validation": "validation"}  # of the engine, by the name in the metrics
        if self.job.watch_train:
            self.splits["train_eval"] = "train"
        if self.job.watch_test:
            engine.add_split("test", self.dataset.open_test(WATCHED))
            self.splits["test"] = "test"
        self.rows: list[EpochRow] = []
        self.best: dict[str, np.ndarray] = {}  # weights of the best epoch; empty before the first
        self._saved = time.monotonic()

    @property
    def state(self) -> TrainState:
        return self.loop.state

    def run(self, report: Callable[[Progress], None], should_stop: Callable[[], bool]) -> Summary | None:
        """Train epoch after epoch, evaluate the best one and write the summary."""
        self._resume()
        reporter = _Reporter(self, report)
        try:
            while not (reason := self._reason_to_end()):
                for _ in self.loop.train_epoch(self._lr_scale(), should_stop):
                    reporter.step()
                    if time.monotonic() - self._saved > WITHIN_EPOCH_SECONDS:
                        self._save()
                if self.state.step < len(self.loop.batches):  # it was asked to stop
                    self._save()
                    return None
                self._end_epoch()
        except DivergedError as error:
            return self._diverged(error)
        return self._finish(reason, should_stop)

    def checkpoint(self) -> Path | None:
        """The saved state, if there is one. Older versions gave that of every engine the same name."""
        names = (self.engine.checkpoint_name, *layout.CHECKPOINTS)
        return next((path for name in names if (path := self.writer.path(name)).exists()), None)

    def _reason_to_end(self) -> str:
        """Why the training is over; empty while it is not."""
        if self.state.epoch >= self.recipe.epochs:
            return f"all {self.state.epoch} epochs were done"
        return stop_reason(self.recipe.stop, self.rows)

    def _lr_scale(self) -> float:
        """The part of the learning rate that follows from the losses so far."""
        losses = [row.validation_loss for row in self.rows if row.validation_loss is not None]
        return plateau_factor(self.recipe.schedule, losses)

    def _end_epoch(self) -> None:
        """Evaluate, append the epoch's row, and keep the weights if they are the best so far."""
        engine, state, started = self.engine, self.state, time.perf_counter()
        where = f"by the end of epoch {state.epoch + 1}"
        if not engine.has_finite_weights():  # running statistics of norms can break without the loss
            raise DivergedError(f"the weights stopped being finite numbers {where}")
        with engine.eval_weights():
            evaluations = {name: engine.evaluate(split_name) for name, split_name in self.splits.items()}
            validation = evaluations["validation"]
            if not np.isfinite(validation.loss):
                raise DivergedError(f"the outputs stopped being finite numbers {where}")
            row = self._row(evaluations)
            state.epoch += 1
            if state.update_best(validation.score(self.is_balanced), validation.loss):
                self.best = engine.weights()
        state.seconds += state.epoch_seconds + time.perf_counter() - started
        self._append(row.replace(seconds=round(state.seconds, 3)))
        state.step = 0
        if time.monotonic() - self._saved > AFTER_EPOCH_SECONDS:
            self._save()

    def _row(self, evaluations: Mapping[str, Evaluation]) -> EpochRow:
        """The numbers of the current epoch. A run that diverges has no evaluations of its last one."""
        state, stats, validation = self.state, self.loop.stats, evaluations.get("validation")
        speed = self.loop.images_done / state.epoch_seconds if state.epoch_seconds else None
        columns: dict[str, float | None] = {}
        for name, evaluation in evaluations.items():
            columns |= {f"{name}_loss": _finite(evaluation.loss), f"{name}_accuracy": evaluation.accuracy}
        return EpochRow(
            epoch=state.epoch + 1,
            train_loss=_finite(stats.loss),
            train_accuracy=stats.accuracy if validation else None,
            validation_balanced_accuracy=validation.balanced_accuracy if validation else None,
            learning_rate=self.loop.lr(state.step - 1, self._lr_scale()),
            gradient_norm=_finite(stats.gradient_norm),
            dead_units=validation.dead_units if validation else None,
            images_per_second=round(speed, 1) if speed else None,
            **columns,
        )

    def _append(self, row: EpochRow) -> None:
        self.rows.append(row)
        self.writer.append(row)
        self.loggers.log([row])

    def _finish(self, stopped: str, should_stop: Callable[[], bool]) -> Summary | None:
        """Write weights, predictions and the summary of a run that trained to its end. None when it was asked to stop."""
        engine = self.engine
        with engine.eval_weights():
            self._save_weights(layout.FINAL, engine.weights())
        self._save_weights(layout.BEST, self.best)
        engine.load_weights(self.best)
        reason = WATCHED if self.job.watch_test else REASON
        part = self.dataset.open_test(reason)
        if not self.job.watch_test:
            engine.add_split("test", part)
        validation = engine.evaluate("validation", self.recipe.test_time)
        test = engine.evaluate("test", self.recipe.test_time)
        self.writer.save(layout.PREDICTIONS, lambda path: _write_predictions(path, validation, test))
        at_chance = is_at_chance((validation.logits, validation.labels), (test.logits, test.labels))
        cause = self._diagnose(should_stop) if at_chance else ""
        if at_chance and should_stop():
            return None  # the diagnosis may be incomplete; the run resumes from its last save
        summary = self._summary(
            "finished",
            cause,
            test_digest=_digest(part),
            stopped=stopped,
            validation_accuracy=validation.accuracy,
            validation_loss=_finite(validation.loss),
            test_accuracy=test.accuracy,
            test_loss=_finite(test.loss),
            test_images=len(test.labels),
            test_opened_because=reason,
            at_chance=at_chance,
            validation=scores(validation.logits, validation.labels),
            test=scores(test.logits, test.labels),
        )
        return self._end(summary)

    def _diagnose(self, should_stop: Callable[[], bool]) -> str:
        """Why the network learned nothing. A diagnosis that fails, out of memory perhaps, does not lose the result."""
        accuracy = self.rows[-1].train_accuracy if self.rows else None
        try:
            return self.engine.diagnose(
                epochs=self.state.epoch, train_accuracy=accuracy, chance=self.chance, should_stop=should_stop
            )
        except Exception:
            self.writer.log(f"The diagnosis of a run at chance failed:\n{traceback.format_exc()}")
            return ""

    def _diverged(self, error: DivergedError) -> Summary:
        """The end of a run whose numbers are no longer finite. Its last save was finite and stays, as do the best weights."""
        self.state.seconds += self.state.epoch_seconds
        self._append(self._row({}).replace(seconds=round(self.state.seconds, 3)))
        if self.best:
            self._save_weights(layout.BEST, self.best)
        summary = self._summary("diverged", str(error), test_opened_because=WATCHED if self.job.watch_test else "")
        return self._end(summary)

    def _end(self, summary: Summary) -> Summary:
        self.writer.finish(summary)
        self.loggers.end(summary)
        return summary

    def _summary(self, state: State, reason: str, *, test_digest: str | None = None, **results: Any) -> Summary:
        """The summary with the fields that every run has, and the `results` of this one."""
        of_test = {} if test_digest is None else {"test_digest": test_digest}
        return Summary(
            state=state,
            reason=reason,
            epochs=self.state.epoch,
            best_epoch=self.state.best_epoch or None,
            seconds=round(self.state.seconds, 3),
            parameters=self.engine.parameter_count,
            classes=self.inputs.class_count,
            test_watched=self.job.watch_test,
            data=self.inputs.data_facts(chance=self.chance, **of_test),
            **results,
        )

    def _resume(self) -> None:
        """Load the saved state, if there is one, and the rows of the epochs that it has done."""
        path = self.checkpoint()
        if path is not None:
            self.loop.state, self.best = self._load(path)
            self.loop.read_stats()
        done = self.state.epoch
        rows = self.writer.run.metrics if self.writer.run else ()
        self.rows = [row for row in rows if row.epoch <= done]
        if path is not None and len(self.rows) < done:  # stopping and the learning rate may depend on them
            raise RunError(
                f"{self.writer.path(layout.METRICS)}: has {len(self.rows)} of the {done} epochs that {path.name} has done; "
                "remove the run's folder to train it again"
            )
        self.writer.rewind(self.rows)
        self.loggers.log(self.rows)

    def _load(self, path: Path) -> tuple[TrainState, dict[str, np.ndarray]]:
        try:
            return self.engine.load(path)
        except (MemoryError, StriateError):
            raise
        except OSError as error:
            raise RunError(
                f"{path}: cannot be read ({error.strerror}); once it can, the same command resumes the run"
            ) from error
        except Exception as error:
            raise RunError(f"{path}: cannot be read ({error}); remove the run's folder to train it again") from error

    def _save(self) -> None:
        """Write the whole state to the checkpoint. A state that is not finite is not saved: the last finite one stays.

        Nothing else depends on it, because the time of a save must not decide how a run ends.
        """
        engine = self.engine
        if engine.has_finite_weights():
            self.writer.save(engine.checkpoint_name, lambda path: engine.save(path, self.state, self.best))
            self.writer.remove_checkpoints(but=engine.checkpoint_name)
        self._saved = time.monotonic()

    def _save_weights(self, name: str, weights: Mapping[str, np.ndarray]) -> None:
        # Not np.ascontiguousarray, which makes a number an array of one.
        content = save({key: np.asarray(array, order="C") for key, array in weights.items()})
        self.writer.save(name, lambda path: _write(path, content))


class _Reporter:
    """Calls `report` with the progress, at most every REPORT_SECONDS and at the end of each epoch."""

    def __init__(self, driver: Driver, report: Callable[[Progress], None]) -> None:
        self._driver, self._report, self._reported = driver, report, 0.0

    def step(self) -> None:
        loop, rows, now = self._driver.loop, self._driver.rows, time.monotonic()
        images = loop.batches[-1].stop
        if now - self._reported < REPORT_SECONDS and loop.images_done < images:
            return
        self._reported = now
        state, epochs = loop.state, self._driver.recipe.epochs
        self._report(
            Progress(
                epoch=state.epoch + 1,
                epochs=epochs,
                share=(state.epoch + loop.images_done / images) / epochs,
                loss=_finite(loop.stats.loss),
                images_per_second=loop.images_done / state.epoch_seconds,
                validation_accuracy=rows[-1].validation_accuracy if rows else None,
            )
        )


def _write_network(writer: RunWriter, inputs: RunInputs) -> None:
    """Write the layer table, for reports. A module that cannot be traced has none, and is trained all the same."""
    if writer.path(layout.NETWORK).exists():
        return
    try:
        writer.network(summarize(inputs.job.network, inputs.input_shape, inputs.class_count).table)
    except RunError:
        raise
    except Exception as error:
        writer.log(f"The layers of the network are not recorded: {type(error).__name__}: {error}")


def _check_same_device(previous: RunEnvironment | None, now: RunEnvironment, folder: Path) -> None:
    """A run that is half in bf16 and half in float32 would be neither."""
    here = (now.device, now.precision)
    then = (previous.device or now.device, previous.precision or now.precision) if previous else here
    if then != here:
        cure = "resume it where it began" if then[0] == here[0] else "choose that --device, resume it where it began"
        raise TrainingError(
            f"{folder}: began on {' in '.join(then)} and would resume on {' in '.join(here)}; {cure}, or remove the folder "
            "to train it again"
        )


def _note_failure(writer: RunWriter, loggers: Loggers, error: Exception) -> None:
    """Write the reason into the folder. A full disk may refuse that too, which must not hide the error itself."""
    with contextlib.suppress(StriateError, OSError):
        writer.log("".join(traceback.format_exception(error)))
        loggers.end(writer.finish(Summary.failed(str(error) or type(error).__name__)))


def _digest(part: Part) -> str:
    """Identifies the images and labels of a part by their content."""
    digest = hashlib.sha256(np.ascontiguousarray(part.images).data)
    digest.update(np.ascontiguousarray(part.labels).data)
    return digest.hexdigest()


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


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None
