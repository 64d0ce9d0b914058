"""A scale's results: losses at the end of training against the number of parameters, and where underfitting becomes overfitting."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from striate.runs import EpochRow, Summary
from striate.studies.metrics import RunMetric
from striate.studies.study import Study
from striate.verdicts import ArmResults, Design, Interval, Metric
from striate.verdicts.intervals import interval
from striate.verdicts.turn import Turn, find_turn


def _last_validation(summary: Summary, rows: Sequence[EpochRow]) -> float | None:
    return rows[-1].validation_loss if rows else None


def _last_training(summary: Summary, rows: Sequence[EpochRow]) -> float | None:
    """After the epoch where the study watches it; else the mean during the epoch, with augmentation and dropout."""
    if not rows:
        return None
    return rows[-1].train_loss if rows[-1].train_eval_loss is None else rows[-1].train_eval_loss


def _loss(name: str, read: Callable[[Summary, Sequence[EpochRow]], float | None]) -> RunMetric:
    # A network that is too small to learn is underfitting: its loss counts.
    metric = Metric(name=name, scale="plain", lower_is_better=True, on_test_images=False)
    return RunMetric(metric, read, is_score=False)


VALIDATION = _loss("validation loss", _last_validation)
TRAINING = _loss("training loss", _last_training)
PARAMETERS = RunMetric(
    Metric(name="parameters", scale="plain", on_test_images=False),
    lambda summary, rows: summary.parameters,
    is_score=False,
)


@dataclass(frozen=True, kw_only=True)
class Size:
    """One arm of the scale: losses by seed at the last epoch, of the runs that did not diverge."""

    arm: str
    parameters: int | None
    training: ArmResults
    validation: ArmResults

    @property
    def training_mean(self) -> float | None:
        return statistics.fmean(self.training.values.values()) if self.training.values else None

    @property
    def validation_mean(self) -> float | None:
        return statistics.fmean(self.validation.values.values()) if self.validation.values else None

    def interval(self, of: ArmResults) -> Interval | None:
        """The 95 % interval of the mean of one of both losses, for itself."""
        return interval(list(of.values.values())) if len(of.values) > 1 else None


@dataclass(frozen=True, kw_only=True)
class ScaleResults:
    """The sizes in the order of the axis, and the turn of the validation loss."""

    sizes: tuple[Size, ...]
    turn: Turn
    sentence: str

    def __str__(self) -> str:
        return self.sentence


def judge_scale(study: Study, design: Design, measured: Callable[[str, RunMetric], ArmResults]) -> ScaleResults | None:
    """The losses along the axis and their turn; None where the study has no scale."""
    if not study.scale:
        return None
    sizes = tuple(
        Size(
            arm=arm,
            parameters=_parameters(measured(arm, PARAMETERS)),
            training=measured(arm, TRAINING),
            validation=measured(arm, VALIDATION),
        )
        for arm in study.variations
    )
    design = Design(metric=VALIDATION.metric, matters=1e-9, seeds=design.seeds, looks=design.looks)
    turn = find_turn([size.validation for size in sizes], design)
    return ScaleResults(sizes=sizes, turn=turn, sentence=_sentence(sizes, turn))


def _parameters(arm: ArmResults) -> int | None:
    return int(max(arm.values.values())) if arm.values else None


def _sentence(sizes: Sequence[Size], turn: Turn) -> str:
    if turn.lowest is None:
        return "No run has ended, so nothing is known of the turn from underfitting to overfitting."
    lowest = sizes[turn.lowest]
    low = f"The validation loss at the last epoch is lowest, {lowest.validation_mean:.3f}, with {_named(lowest)}"
    if turn.reason:
        return f"{low}. Where it turns is undecided: {turn.reason}"
    first, last = sizes[turn.candidates[0]], sizes[turn.candidates[-1]]
    between = f"between {_named(first)} and {_named(last)}" if first is not last else f"with {_named(first)}"
    match turn.shape:
        case "turns":
            text = f"{low}. Underfitting ends and overfitting begins {between} (95 % confidence, over the seeds)."
        case "falls to the end":
            text = f"{low}, the largest: it falls to the end, so overfitting begins beyond it, if at all (95 % confidence)."
        case "rises from the start":
            text = f"{low}, the smallest: it rises from the start, so underfitting ends before it, if at all (95 % confidence)."
        case _:
            text = f"{low}. Where it turns is undecided: the lowest lies {between} (95 % confidence), and that reaches an end of the scale."
    return text + _training(sizes, turn)


def _training(sizes: Sequence[Size], turn: Turn) -> str:
    """Overfitting means that the training loss keeps falling; where it does not, larger networks train badly."""
    beyond = sizes[turn.candidates[-1] :]
    if turn.shape not in {"turns", "rises from the start"} or len(beyond) < 2:
        return ""
    start, end = beyond[0].training_mean, beyond[-1].training_mean
    if start is None or end is None:
        return ""
    if end < start:
        return f" Beyond it the training loss keeps falling, from {start:.3f} to {end:.3f}."
    return f" But the training loss rises beyond it too, from {start:.3f} to {end:.3f}: that is no overfitting, as these train badly."


def _named(size: Size) -> str:
    return size.arm if size.parameters is None else f"{size.arm} ({size.parameters:,} parameters)"
