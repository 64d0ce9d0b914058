"""What kind of number a metric is: its name says whether more is better, and how differences are measured."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from striate.core.errors import TableError
from striate.verdicts import Metric

Kind = Literal["percent", "share", "plain", "ratio"]
Better = Literal["higher", "lower"]
KINDS, BETTER = get_args(Kind), get_args(Better)

_SCORES = {
    "accuracy", "acc", "top1", "top5", "precision", "recall", "f1", "auc", "auroc", "iou", "miou", "correct", "map", "ap", "sensitivity",
    "specificity", "dice",
}  # fmt: skip
_ERRORS = {"error", "err"}
_LOSSES = {"loss", "nll", "mse", "rmse", "mae", "perplexity", "ppl", "ece", "fid", "brier", "entropy", "wer", "cer"}
_TIMES = {
    "time",
    "seconds",
    "sec",
    "secs",
    "duration",
    "runtime",
    "latency",
    "minutes",
    "hours",
    "ms",
    "memory",
    "flops",
    "energy",
}
_SPEEDS = {"throughput", "fps", "speed"}
_UNITS = {
    "seconds": "s",
    "sec": "s",
    "secs": "s",
    "s": "s",
    "runtime": "s",
    "ms": "ms",
    "minutes": "min",
    "min": "min",
    "hours": "h",
    "h": "h",
}
_LONG = {"acc": "accuracy", "val": "validation", "valid": "validation", "err": "error", "eval": "evaluation"}
_NO_PART_OF_A_NAME = {"metrics", "metric", "summary", "data", "hp", "hparam"}
_OTHER_SPLITS = {"val", "valid", "validation", "train", "training", "dev"}


@dataclass(frozen=True, kw_only=True)
class MetricKind:
    """A metric, and what its numbers are multiplied by to be in its unit."""

    metric: Metric
    factor: float
    text: str  # how it was read, in words


def words(name: str) -> list[str]:
    """The words of a column's name: testAcc, test_acc and test/acc are test and acc."""
    parts = re.split(r"[^A-Za-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))
    return [part.lower() for part in parts if part]


def group(name: str) -> str:
    """score, error, loss, speed or time; "" where its name says nothing."""
    found = set(words(name))
    if ("per" in found and found & {"s", "sec", "second", "minute"}) or found & _SPEEDS:
        return "speed"
    if found & _LOSSES or ("error" in found and found & {"squared", "absolute"}):
        return "loss"
    return next(
        (kind for kind, known in (("score", _SCORES), ("error", _ERRORS), ("time", _TIMES)) if found & known), ""
    )


def rank(name: str) -> int | None:
    """How likely a column is what one wants to judge, 0 the most; None where its name says nothing."""
    found, order = set(words(name)), ("score", "error", "loss", "speed", "time")
    split = 0 if "test" in found else 2 if found & {"train", "training"} else 1
    return 3 * order.index(group(name)) + split if group(name) else None


def spoken(name: str) -> str:
    """test_acc as test accuracy."""
    kept = [_LONG.get(word, word) for word in words(name) if word not in _NO_PART_OF_A_NAME]
    return " ".join(kept) or name


def metric_kind(
    place: str,
    name: str,
    values: Sequence[float],
    *,
    kind: str = "",
    better: str = "",
    unit: str = "",
    percent_signs: bool = False,
) -> MetricKind:
    """The kind of the column `name`, from what the user says, then its name, then its values.

    Raises:
        TableError: where it cannot be told, or where the values do not fit.
    """
    found = set(words(name))
    if kind == "":
        kind = _kind_of(place, name, values, percent_signs)
    lower = better == "lower" if better else _is_lower_better(place, name)
    _check(place, name, kind, values)
    scale: Literal["percent", "plain", "ratio"] = (
        "percent" if kind in {"percent", "share"} else "ratio" if kind == "ratio" else "plain"
    )
    if not unit and scale == "ratio":
        unit = next((_UNITS[word] for word in reversed(words(name)) if word in _UNITS), "")
    metric = Metric(
        name=spoken(name),
        scale=scale,
        unit=unit,
        lower_is_better=lower,
        on_test_images=scale != "ratio" and not found & _OTHER_SPLITS,
    )
    how = {
        "percent": "percent",
        "share": "shares from 0 to 1, judged in percent",
        "plain": "numbers as they are",
        "ratio": "ratios",
    }[kind]
    direction = "lower" if lower else "higher"
    return MetricKind(metric=metric, factor=100.0 if kind == "share" else 1.0, text=f"{how}; {direction} is better")


def _kind_of(place: str, name: str, values: Sequence[float], percent_signs: bool) -> str:
    if percent_signs:
        return "percent"
    match group(name):
        case "score" | "error":
            return _percent_or_share(place, name, values)
        case "time" | "speed" if all(value > 0 for value in values):
            return "ratio"
    return "plain"


def _percent_or_share(place: str, name: str, values: Sequence[float]) -> str:
    low, high = min(values, default=0.0), max(values, default=0.0)
    if low < 0 or high > 100:
        return "plain"
    if high <= 1:
        return "share"
    if any(0 < value < 1 for value in values):
        raise TableError(
            f"{place}: '{name}' must be in percent or in shares, has values from {low:g} to {high:g}; "
            "say which with --as percent, or mend the file"
        )
    return "percent"


def _is_lower_better(place: str, name: str) -> bool:
    if not (kind := group(name)):
        raise TableError(
            f"{place}: whether a higher or a lower '{name}' is better is not known; say --better higher or --better lower"
        )
    return kind in {"error", "loss", "time"}


def _check(place: str, name: str, kind: str, values: Sequence[float]) -> None:
    limits = {"percent": (0.0, 100.0), "share": (0.0, 1.0)}.get(kind)
    wrong = [value for value in values if limits and not limits[0] <= value <= limits[1]]
    if limits and wrong:
        raise TableError(
            f"{place}: '{name}' as {kind} must be from {limits[0]:g} to {limits[1]:g}, has {wrong[0]:g}; mend it, or say --as plain"
        )
    if kind == "ratio" and (wrong := [value for value in values if value <= 0]):
        raise TableError(f"{place}: '{name}' as ratio must be above 0, has {wrong[0]:g}; mend it, or say --as plain")
