"""What a study decided before its first result, kept in its folder: so that a verdict means what it says.

The design is fixed when the first run has ended: question, arms, comparisons, metric, what matters, seeds and looks. Later
changes are allowed and listed. How strict the intervals are follows from the design, whatever the study file says today.
"""

from collections.abc import Iterator, Sequence
from datetime import date

from pydantic import Field

from striate.core.records import Number, Record, Whole, fingerprint
from striate.verdicts.wording import seed_list


class Look(Record):
    """One look at the results of a study, as `striate run` takes it when the runs of a stage have ended."""

    date: str
    """The day."""
    seeds: Whole
    """How many seeds the compared arms had."""
    comparisons: tuple[str, ...]
    """What was judged with so many seeds for the first time."""


class StudyDesign(Record):
    """Written by Striate, and not changed after the first result."""

    date: str
    """The day on which it was fixed."""
    hash: str = ""
    """Twelve digits that follow from everything below but `added`: whoever knows them knows that nothing was changed."""
    question: str
    metric: str
    matters: Number
    seeds: tuple[Whole, ...] = Field(min_length=1)
    looks: tuple[Whole, ...] = ()
    comparisons: tuple[str, ...] = ()
    arms: dict[str, str]
    """Each arm with the fingerprint of its data, network and recipe."""
    added: dict[str, tuple[str, ...]] = {}
    """Comparisons that were planned later, by metric; they count among all that were ever planned."""

    @property
    def content_hash(self) -> str:
        content = self.model_dump(mode="json")
        return fingerprint({key: value for key, value in content.items() if key not in {"date", "hash", "added"}})

    @property
    def is_as_written(self) -> bool:
        """False where somebody edited it."""
        return self.hash == self.content_hash

    def sealed(self) -> "StudyDesign":
        return self.replace(hash=self.content_hash)

    def with_comparisons(self, metric: str, comparisons: Sequence[str]) -> "StudyDesign":
        """With those that were not planned before among the `added`."""
        before = self.added.get(metric, ())
        known = {*before, *(self.comparisons if metric == self.metric else ())}
        new = tuple(name for name in comparisons if name not in known)
        return self.replace(added={**self.added, metric: (*before, *new)}) if new else self

    @property
    def comparison_count(self) -> int:
        """How many were ever planned, each metric for itself. `a - b` and `b - a` are one."""
        planned = [(self.metric, self.comparisons), *self.added.items()]
        return len({(metric, frozenset(name.split(" - "))) for metric, names in planned for name in names})

    @property
    def is_trial(self) -> bool:
        """Whether it has one seed. A single difference has no scale to be judged by, so it tells nobody which further seeds to
        plan; two differences do."""
        return len(self.seeds) == 1


def today() -> str:
    return date.today().isoformat()


def changes(before: StudyDesign, now: StudyDesign, arms_with_results: Sequence[str]) -> Iterator[str]:
    """What was changed, in words. A comparison of arms without results is still planned before its runs."""
    for name in ("question", "metric", "matters"):
        old, new = getattr(before, name), getattr(now, name)
        if old != new:
            yield f"{name} changed from {_text(old)} to {_text(new)}"
    if before.seeds != now.seeds:
        yield f"seeds changed from {_numbers(before.seeds)} to {_numbers(now.seeds)}"
    if before.looks != now.looks:
        yield f"looks changed from {_numbers(before.looks)} to {_numbers(now.looks)}"
    for name in now.arms.keys() - before.arms.keys():
        yield f"arm '{name}' added"
    for name in before.arms.keys() - now.arms.keys():
        yield f"arm '{name}' taken out"
    for name in now.comparisons:
        if name not in before.comparisons and set(name.split(" - ")) <= set(arms_with_results):
            yield f"comparison '{name}' added"
    for name in before.comparisons:
        if name not in now.comparisons:
            yield f"comparison '{name}' taken out"


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else f"'{value}'"


def _numbers(numbers: Sequence[int]) -> str:
    """0 to 4; 0, 5, 9; none."""
    if not numbers:
        return "none"
    if len(numbers) > 2 and list(numbers) == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]} to {numbers[-1]}"
    return seed_list(numbers).partition(" ")[2]
