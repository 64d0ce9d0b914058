"""Relations between arms, as a claim states them: "A is best", "A takes 1.3 times as long as B"."""

import re
from collections.abc import Sequence

from striate.core.config import suggest
from striate.core.errors import ConfigError
from striate.core.records import Number, Record
from striate.studies.metrics import TEST_ACCURACY, run_metric

_NUMBER = r"\d+(?:\.\d+)?"
_TOLERANCE = rf"(?: \+- (?P<tolerance>{_NUMBER}))?"
_METRIC = r"(?: in (?P<metric>.+?))?"
_TIMES = rf"(?P<target>{_NUMBER}) times"
# What a claim may say; the first that matches. METRIC is a number of a run, as in the study's `metric`.
FORMS = {
    "A is best [in METRIC]": rf"(?P<first>.+?) is (?P<word>best|worst){_METRIC}",
    "A is better than B [in METRIC] [by 1.2 [+- 0.5]]": (
        rf"(?P<first>.+?) is (?P<word>better|worse) than (?P<second>.+?){_METRIC}(?: by (?P<target>{_NUMBER}){_TOLERANCE})?"
    ),
    "A is as good as B [in METRIC] [+- 0.5]": (
        rf"(?P<first>.+?) is as (?P<word>good) as (?P<second>.+?){_METRIC}{_TOLERANCE}"
    ),
    "A takes longer than B": r"(?P<first>.+?) takes (?P<word>longer) than (?P<second>.+)",
    "A takes 1.3 times as long as B [+- 0.1]": (
        rf"(?P<first>.+?) takes {_TIMES} as (?P<word>long) as (?P<second>.+?){_TOLERANCE}"
    ),
    "A has 1.3 times the METRIC of B [+- 0.1]": (
        rf"(?P<first>.+?) has {_TIMES} (?P<word>the) (?P<metric>.+) of (?P<second>.+?){_TOLERANCE}"
    ),
}
TIME = "training time"


class Relation(Record):
    """What a claim states of the arms: that `better` is better than `worse` in `metric`, or how much they differ.

    `worse` is empty for all other arms, and `better` for "A is worst". `target` is a difference, or a ratio where `is_times`;
    `rounding` is half a unit of its last digit: 1.3 means 1.25 to 1.35.
    """

    text: str
    better: str = ""
    worse: str = ""
    metric: str = TEST_ACCURACY
    target: Number | None = None
    tolerance: Number | None = None
    rounding: Number = 0.0
    is_times: bool = False
    is_equal: bool = False

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms that it names."""
        return tuple(name for name in (self.better, self.worse) if name)

    def pairs(self, arms: Sequence[str]) -> list[tuple[str, str]]:
        """Each pair of arms that it speaks of, the better first."""
        if self.arms == (self.better, self.worse):
            return [(self.better, self.worse)]
        return [(self.better or other, self.worse or other) for other in arms if other not in self.arms]


def read_relation(text: str) -> Relation:
    """The relation that `text` states.

    Raises:
        ConfigError: for another form, or an unknown metric.
    """
    for pattern in FORMS.values():
        if match := re.fullmatch(pattern, text.strip()):
            return _relation(text.strip(), match.groupdict())
    raise ConfigError(f"relation: must be one of {'; '.join(FORMS)}; got '{text}'")


def _relation(text: str, parts: dict[str, str | None]) -> Relation:
    first, second, word = parts["first"] or "", parts.get("second") or "", parts["word"]
    metric = parts.get("metric") or (TIME if word in {"longer", "long"} else TEST_ACCURACY)
    scale = run_metric(metric).metric.scale
    target, tolerance = parts.get("target"), parts.get("tolerance")
    is_times = word in {"long", "the"}
    if target and (scale == "ratio") != is_times:
        cure = (
            f"'A has 1.3 times the {metric} of B'" if scale == "ratio" else f"'A is better than B in {metric} by 1.2'"
        )
        raise ConfigError(f"relation: {metric} is compared by {'differences' if is_times else 'ratios'}; write {cure}")
    if first == second:
        raise ConfigError(f"relation: compares '{first}' with itself; name two arms")
    if word in {"worse", "worst", "longer"}:
        first, second = second, first
    return Relation(
        text=text,
        better=first,
        worse=second,
        metric=metric,
        target=float(target) if target else None,
        tolerance=float(tolerance) if tolerance else None,
        rounding=0.5 * 10.0 ** -len(target.partition(".")[2]) if target else 0.0,
        is_times=is_times,
        is_equal=word == "good",
    )


def check_arms(relation: Relation, arms: Sequence[str]) -> None:
    """Refuse a relation that names an arm that is not there, or that has nothing to compare.

    Raises:
        ConfigError: with the nearest name.
    """
    for name in relation.arms:
        if name not in arms:
            raise ConfigError(f"claims: '{relation.text}' names an unknown arm '{name}'; {suggest(name, arms)}")
    if not relation.pairs(arms):
        raise ConfigError(f"claims: '{relation.text}' needs another arm to compare with, and the study has one")
