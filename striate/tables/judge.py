"""A table to verdicts: runs by arm and seed, comparisons, and everything that a reader must know of how it was read."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from striate.core.config import suggest
from striate.core.errors import TableError
from striate.tables.columns import Choices, Columns, recognize
from striate.tables.metric import metric_kind
from striate.tables.read import read
from striate.tables.runs import At, Runs, runs_of
from striate.tables.table import Table
from striate.verdicts import ArmResults, Design, Verdict, compare
from striate.verdicts.wording import seed_list, short_list

MOST_ARMS = 200
_OPTIONS = {"kind": "as"}  # where an option is not called like its field
BASELINES = (
    "baseline",
    "control",
    "reference",
    "vanilla",
    "plain",
    "none",
)  # an arm called so is one, if nobody says which
MATTERS = {"percent": 0.5, "ratio": 5.0}


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is to be judged, beside the columns."""

    compare: tuple[str, ...] = ()  # 'a - b'; empty: every arm against the baseline
    baseline: str = ""  # empty: the arm that is called so, else the first
    matters: float | None = None
    kind: str = ""  # percent, share, plain or ratio
    better: str = ""
    unit: str = ""
    at: At = "last"
    test_images: int = 0  # that an accuracy was measured on
    comparisons: int = 0  # that were ever planned
    grown: bool = False  # seeds were added after looking at results
    empty: str = "missing"  # what a run without a value is: missing or diverged


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The verdicts on a table."""

    place: str
    origin: str
    mapping: tuple[tuple[str, str], ...]  # role and column, in words
    design: Design
    arms: tuple[ArmResults, ...]
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...]
    command: str  # that judges the same again, in the folder of the numbers
    is_grown: bool = False

    @property
    def seeds(self) -> tuple[int, ...]:
        """All seeds that any arm has."""
        return tuple(sorted({seed for arm in self.arms for seed in (*arm.values, *arm.failures)}))


_RECOGNIZED, _USUAL = Choices(), Question()


def judge(path: Path | str, choices: Choices = _RECOGNIZED, question: Question = _USUAL) -> Judged:
    """The verdicts on the runs in a file or folder.

    Raises:
        TableError: for what cannot be read or judged.
    """
    return judge_table(read(Path(path)), choices, question)


def judge_table(table: Table, choices: Choices = _RECOGNIZED, question: Question = _USUAL) -> Judged:
    """The verdicts on the runs in a table."""
    table, columns = recognize(table, choices)
    runs = runs_of(table, columns, question.at, question.empty)
    arms = list(dict.fromkeys(arm for arm, _ in (*runs.values, *runs.failures)))
    _check_arms(table, columns, arms)
    kind = metric_kind(
        table.place,
        columns.metric or "test accuracy",
        list(runs.values.values()),
        kind=question.kind,
        better=question.better,
        unit=question.unit,
        percent_signs=bool(columns.metric) and table.is_percent_text(columns.metric),
    )
    matters = _matters(table, question, kind.metric.scale, kind.metric.name)
    results = {arm: _results(arm, runs, kind.factor, question.test_images) for arm in arms}
    pairs = _pairs(table, arms, question)
    design = Design(
        matters=matters,
        metric=kind.metric,
        comparisons=max(question.comparisons, len(pairs)),
        looks=(1,) if question.grown else (),
    )
    verdicts = tuple(compare([(results[a], results[b]) for a, b in pairs], design))
    return Judged(
        place=table.place,
        origin=table.origin,
        mapping=_mapping(table, columns, runs, kind.text, matters, design, arms),
        design=design,
        arms=tuple(results.values()),
        verdicts=verdicts,
        notes=(*table.notes, *runs.notes, *_without_pair(results), *_without_spread(verdicts)),
        command=shlex.join(["striate", "judge", Path(table.place).name, *_options(choices, question)]),
        is_grown=question.grown,
    )


def _options(choices: Choices, question: Question) -> Iterator[str]:
    """The options that were given, as words of the command."""
    for record in (choices, question):
        for key in fields(record):
            given = getattr(record, key.name)
            option = f"--{_OPTIONS.get(key.name, key.name).replace('_', '-')}"
            if given is True:
                yield option
            elif given != key.default:
                yield from (
                    word for one in (given if isinstance(given, tuple) else (given,)) for word in (option, str(one))
                )


def _check_arms(table: Table, columns: Columns, arms: Sequence[str]) -> None:
    source = " and ".join(f"'{name}'" for name in columns.arm)
    if not arms:
        raise TableError(f"{table.place}: no run has a value of '{columns.metric}'; name another column with --metric")
    if len(arms) == 1:
        raise TableError(
            f"{table.place}: has one arm, '{arms[0]:.60}' (column {source}); a verdict needs two, so name another column with --arm"
        )
    if len(arms) > MOST_ARMS:
        raise TableError(
            f"{table.place}: column {source} has {len(arms):,} values, which are too many for arms; name the column of the arms with --arm"
        )


def _matters(table: Table, question: Question, scale: str, name: str) -> float:
    matters = question.matters if question.matters is not None else MATTERS.get(scale)
    if matters is None:
        raise TableError(
            f"{table.place}: which difference of '{name}' matters is not known; say the smallest one in its unit, as in --matters 0.01"
        )
    return matters


def _results(arm: str, runs: Runs, factor: float, test_images: int) -> ArmResults:
    right = {seed: row for (name, seed), row in runs.right.items() if name == arm}
    return ArmResults(
        arm=arm,
        values={seed: factor * value for (name, seed), value in runs.values.items() if name == arm},
        failures={seed: text for (name, seed), text in runs.failures.items() if name == arm},
        test_images=len(next(iter(right.values()))) if right else test_images,
        test_digest=runs.digests.get(arm, ""),
        right=right,
    )


def _pairs(table: Table, arms: Sequence[str], question: Question) -> list[tuple[str, str]]:
    """The comparisons, first minus second."""
    if question.compare:
        pairs = [_comparison(table, text, arms) for text in question.compare]
        return list(dict.fromkeys(pairs))
    usual = (arm for name in BASELINES for arm in arms if arm.lower() == name)
    baseline = question.baseline or next(usual, arms[0])
    if baseline not in arms:
        raise TableError(f"{table.place}: --baseline: there is no arm '{baseline:.60}'; {suggest(baseline, arms)}")
    return [(arm, baseline) for arm in arms if arm != baseline]


def _comparison(table: Table, text: str, arms: Sequence[str]) -> tuple[str, str]:
    """'a - b', where names may hold a minus too."""
    parts = text.split(" - ")
    for cut in range(1, len(parts)):
        first, second = " - ".join(parts[:cut]).strip(), " - ".join(parts[cut:]).strip()
        if first in arms and second in arms and first != second:
            return first, second
    if len(parts) == 2 and parts[0].strip() != parts[1].strip():
        unknown = next(part.strip() for part in parts if part.strip() not in arms)
        raise TableError(f"{table.place}: --compare: there is no arm '{unknown:.60}'; {suggest(unknown, arms)}")
    raise TableError(f"{table.place}: --compare must name two arms, as in 'A - B', got '{text:.60}'")


def _mapping(
    table: Table, columns: Columns, runs: Runs, kind: str, matters: float, design: Design, arms: Sequence[str]
) -> tuple[tuple[str, str], ...]:
    """How the columns were read."""
    seeds = sorted({seed for _, seed in (*runs.values, *runs.failures)})
    source = f"names in column '{columns.run}'" if columns.run else ""
    arm = ", ".join(f"'{name}'" for name in columns.arm)
    metric = f"'{columns.metric}'" if columns.metric else f"{len(columns.images):,} columns of test images"
    if columns.image:
        metric += f", for each test image in '{columns.image}'"
    unit = {"percent": " points", "ratio": " %", "plain": f" {design.metric.unit}".rstrip()}[design.metric.scale]
    return (
        ("arm", f"{source or f'column {arm}'}: {short_list(list(arms), 12)}"),
        ("seed", f"{source or f'column {columns.seed!r}'}: {seed_list(seeds).partition(' ')[2]}"),
        ("metric", f"{metric}: {design.metric.name}, {kind}; {matters:g}{unit} matter"),
        *((("step", runs.step_text),) if runs.step_text else ()),
    )  # fmt: skip


def _without_pair(results: dict[str, ArmResults]) -> list[str]:
    """The seeds that an arm lacks and another has."""
    has = {name: {*arm.values, *arm.failures} for name, arm in results.items()}
    every = set().union(*has.values())
    lacking = [f"{name} ({seed_list(sorted(every - seeds))})" for name, seeds in has.items() if every - seeds]
    return [f"Runs that are missing, so their seeds have no pair: {short_list(lacking)}."] if lacking else []


def _without_spread(verdicts: Sequence[Verdict]) -> list[str]:
    """The comparisons whose differences are all equal, so that the interval has no width."""
    equal = [v.comparison for v in verdicts if v.interval and v.interval.half < 1e-9]
    if not equal:
        return []
    cure = " --test-images says how large it is at least." if verdicts[0].metric.scale == "percent" else ""
    return [f"The differences are the same at all seeds, so their real spread is not known: {short_list(equal)}.{cure}"]
