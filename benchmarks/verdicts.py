"""How often a verdict is wrong: simulated studies, grown in many ways, with the rules of `striate.verdicts` and with older ones.

    python benchmarks/verdicts.py [--studies 20000] [--write]

A study counts as wrong if any word on its page is wrong at any time: for any comparison, at any look that somebody takes. That
is as bad as the worst rule of stopping can make it. `--write` puts the table into docs/verdicts.md.
"""

import argparse
import math
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats  # noqa: TID253  it is all that this script waits for

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from striate.verdicts import ArmResults, Design, compare, images  # noqa: E402
from striate.verdicts.intervals import interval  # noqa: E402
from striate.verdicts.looks import Schedule  # noqa: E402
from striate.verdicts.seeds_needed import promise  # noqa: E402

PAGE = ROOT / "docs" / "verdicts.md"
TABLE = re.compile(r"(<!-- simulation -->\n).*?(<!-- end -->)", re.DOTALL)
LOOKS = (3, 5, 8, 12, 20)
GROWN = (*range(5, 31), 40, 60, 100)
MATTERS = 1.0

Noise = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


@dataclass(frozen=True)
class Row:
    """A line of the table: shares in percent, for 1, 3 and 10 comparisons where these matter."""

    situation: str
    wrong: tuple[float | None, ...]
    target: str


# --- noise of a paired difference, with mean 0 and standard deviation 1


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.standard_normal(shape)


def skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """One arm has a long tail to one side, the other none: chi-square with four degrees of freedom."""
    return (rng.chisquare(4, shape) - 4) / math.sqrt(8)


def heavy(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Student's t with four degrees of freedom: a far value now and then, on either side."""
    return rng.standard_t(4, shape) / math.sqrt(2)


def shared(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """All comparisons are with one baseline, so half of their variance is common."""
    return (rng.standard_normal(shape) - rng.standard_normal((shape[0], 1, shape[2]))) / math.sqrt(2)


# --- the rules, for all studies at once


def verdict_intervals(
    differences: np.ndarray, looks: Sequence[int], counts: Sequence[int], comparisons: int, step: float = 0.0
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The interval of each comparison (studies, comparisons) at each of `counts`, as `striate.verdicts` agrees on it."""
    schedule = Schedule(tuple(looks), 0.05 / comparisons)
    low, high = np.full(differences.shape[:2], -np.inf), np.full(differences.shape[:2], np.inf)
    planned = {n for n in looks if n <= max(counts)}
    for n in sorted(planned | set(counts)):
        mean, variance = differences[..., :n].mean(-1), differences[..., :n].var(-1, ddof=1)
        half = np.maximum(step, schedule.factor(n) * np.sqrt(variance + step**2 / 6))
        is_planned = n in looks
        newest_low, newest_high = mean - half, mean + half
        both_low, both_high = np.maximum(low, newest_low), np.minimum(high, newest_high)
        is_inside = ((both_low <= mean) & (mean <= both_high)) | np.isinf(half)
        shown = np.where(is_inside, both_low, newest_low), np.where(is_inside, both_high, newest_high)
        if is_planned:  # only planned looks are looked back at; the sequence is taken with all seeds there are
            low, high = np.maximum(low, newest_low), np.minimum(high, newest_high)
        if n in counts:
            yield shown


def ordinary_intervals(
    differences: np.ndarray, counts: Sequence[int], level: float
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """A new t interval at each look."""
    for n in counts:
        mean, spread = differences[..., :n].mean(-1), differences[..., :n].std(-1, ddof=1)
        half = stats.t.isf(level / 2, n - 1) * spread / math.sqrt(n)
        yield mean - half, mean + half


def is_wrong(low: np.ndarray, high: np.ndarray, truth: np.ndarray | float, matters: float) -> np.ndarray:
    """Whether the label of each interval says something that is not true."""
    same = (-matters <= low) & (high <= matters)
    clearly_better, clearly_worse = (low > matters) & ~same, (high < -matters) & ~same
    better, worse = (low > 0) & ~same, (high < 0) & ~same
    truth = np.broadcast_to(truth, low.shape)
    return (
        (same & (np.abs(truth) >= matters))
        | (clearly_better & (truth <= matters))
        | (clearly_worse & (truth >= -matters))
        | (better & (truth <= 0))
        | (worse & (truth >= 0))
    )


def share(flags: Iterator[np.ndarray]) -> float:
    """Of studies, in percent, in which any is true of any comparison at any look."""
    any_of: np.ndarray | None = None
    for flag in flags:
        now = flag.any(-1)
        any_of = now if any_of is None else any_of | now
    assert any_of is not None
    return 100 * float(any_of.mean())


# --- the rows


def growth_rows(studies: int, rng: np.random.Generator) -> Iterator[Row]:
    plans: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
        "3 seeds": ((3,), (3,)),
        "5 seeds": ((5,), (5,)),
        "planned looks at 3, 5, 8, 12, 20": (LOOKS, LOOKS),
        "5 seeds, then one more at a time to 30, 40, 60, 100": ((5,), GROWN),
        "planned looks, then on to 25, 30, 40, 60, 100": (LOOKS, (*LOOKS, 25, 30, 40, 60, 100)),
        "planned looks, and looked at after every seed": (LOOKS, tuple(range(3, 41))),
    }
    for name, (looks, counts) in plans.items():
        yield Row(f"no difference: {name}", _false_alarms(studies, rng, normal, looks, counts), "≤ 5")
    for name, noise in (("one baseline for all", shared), ("heavy tails", heavy), ("skewed", skewed)):
        yield Row(f"no difference, {name}: 5 seeds", _false_alarms(studies, rng, noise, (5,), (5,)), "≤ 5")
        yield Row(f"no difference, {name}: planned looks", _false_alarms(studies, rng, noise, LOOKS, LOOKS), "≤ 5")
    yield Row("no difference, 60 test images: planned looks", _false_alarms_of_few_images(studies, rng), "≤ 5")


def _false_alarms(
    studies: int, rng: np.random.Generator, noise: Noise, looks: tuple[int, ...], counts: tuple[int, ...]
) -> tuple[float, ...]:
    """With `matters` so small that only better or worse can be said."""

    def of(m: int) -> float:
        differences = noise(rng, (studies, m, counts[-1]))
        return share(is_wrong(low, high, 0.0, 1e-9) for low, high in verdict_intervals(differences, looks, counts, m))

    return tuple(of(m) for m in (1, 3, 10))


def _false_alarms_of_few_images(studies: int, rng: np.random.Generator) -> tuple[float, ...]:
    """Whole images: each run is right about 48 of 60, give or take two."""

    def of(m: int) -> float:
        right = np.round(rng.normal(48, 2, (2, studies, m, LOOKS[-1]))).clip(0, 60)
        intervals = verdict_intervals(right[0] - right[1], LOOKS, LOOKS, m, step=1.0)
        return share(is_wrong(low, high, 0.0, 1e-9) for low, high in intervals)

    return tuple(of(m) for m in (1, 3, 10))


def effect_rows(studies: int, rng: np.random.Generator) -> Iterator[Row]:
    def missed(m: int, looks: tuple[int, ...], counts: tuple[int, ...]) -> float:
        truth = rng.normal(0, 3, (studies, m))
        differences = rng.standard_normal((studies, m, counts[-1])) + truth[..., None]
        intervals = verdict_intervals(differences, looks, counts, m)
        return share((low > truth) | (high < truth) for low, high in intervals)

    for name, looks, counts in (
        ("5 seeds", (5,), (5,)),
        ("planned looks", LOOKS, LOOKS),
        ("5 seeds, grown one at a time", (5,), GROWN),
    ):
        yield Row(
            f"all truly different: an interval misses its difference, {name}",
            tuple(missed(m, looks, counts) for m in (1, 3, 10)),
            "≤ 5",
        )

    def false_same(m: int, spread: float, looks: tuple[int, ...], counts: tuple[int, ...]) -> float:
        differences = MATTERS + spread * rng.standard_normal((studies, m, counts[-1]))
        intervals = verdict_intervals(differences, looks, counts, m)
        return share(is_wrong(low, high, MATTERS, MATTERS) for low, high in intervals)

    for spread in (0.5, 1.0):
        yield Row(
            f"a difference of `matters`, deviation {spread:g} of it, any wrong word: planned looks",
            tuple(false_same(m, spread, LOOKS, LOOKS) for m in (1, 3, 10)),
            "≤ 5",
        )
    yield Row(
        "a difference of `matters`, any wrong word: 5 seeds, grown one at a time",
        tuple(false_same(m, 0.5, (5,), GROWN) for m in (1, 3, 10)),
        "≤ 5",
    )


def outcome_rows(studies: int, rng: np.random.Generator) -> Iterator[Row]:
    """One at a time through `compare` itself, so fewer studies."""
    studies = max(100, studies // 20)

    def arms(rate: tuple[float, float], n: int) -> tuple[ArmResults, ArmResults]:
        made = []
        for name, failing in zip(("new", "old"), rate, strict=True):
            failed, values = rng.random(n) < failing, rng.normal(90, 0.3, n)
            made.append(
                ArmResults(
                    arm=name,
                    values={s: float(values[s]) for s in range(n) if not failed[s]},
                    failures={s: "diverged" for s in range(n) if failed[s]},
                )
            )
        return made[0], made[1]

    quiet = {"undecided", "too few seeds", "no difference that matters"}
    for name, rate, n in (
        ("10 % of the runs of one arm diverge, equal accuracies, 10 seeds", (0.1, 0.0), 10),
        ("half of the runs of both arms diverge, 5 seeds", (0.5, 0.5), 5),
        ("nine of ten runs of both arms diverge, 8 seeds", (0.9, 0.9), 8),
    ):
        wrong = np.mean([compare([arms(rate, n)], Design())[0].label not in quiet for _ in range(studies)])
        yield Row(name, (100 * float(wrong), None, None), "≤ 5")
    yield Row(
        "no difference on all images there are, 10 seeds: claims about new images", _new_images(studies, rng), "≤ 5"
    )
    yield Row("promised seeds: no verdict by the certain number", _broken_promises(studies, rng), "≤ 10")


def _new_images(studies: int, rng: np.random.Generator) -> tuple[float | None, ...]:
    """Of 500 test images some are easy and some are hard, for each arm in its own way."""
    wrong = 0
    for _ in range(studies):
        first, second = (rng.normal(0, 1, 500) + rng.normal(0, 0.6, (10, 500)) > -1.5 for _ in range(2))
        table = images.differences(first, second)
        on_these = interval(list(100 * table.mean(1)), 0.96)
        on_new = images.new_images_interval(images.components(table), on_these, 0.96, 1.0)
        wrong += on_new.low > 0 or on_new.high < 0
    return (100 * wrong / studies, None, None)


def _broken_promises(studies: int, rng: np.random.Generator) -> tuple[float | None, ...]:
    """Means from 0 to twice `matters`, deviations from half to twice of it."""
    schedule, broken, made = Schedule((5,), 0.05), 0, 0
    while made < studies:
        mean, spread = rng.uniform(0, 2), rng.uniform(0.5, 2)
        values = rng.normal(mean, spread, 5)
        if not _is_undecided(values, schedule):
            continue
        promised = promise(list(values), MATTERS, schedule, seeds=5)
        assert promised.certain is not None
        made += 1
        broken += _is_undecided(np.append(values, rng.normal(mean, spread, promised.certain - 5)), schedule)
    return (100 * broken / made, None, None)


def _is_undecided(values: np.ndarray, schedule: Schedule) -> bool:
    ((low, high),) = verdict_intervals(values[None, None], schedule.looks, (len(values),), 1)
    same = low[0, 0] >= -MATTERS and high[0, 0] <= MATTERS
    return not (same or low[0, 0] > 0 or high[0, 0] < 0)


def control_rows(studies: int, rng: np.random.Generator) -> Iterator[Row]:
    """Rules that are known to be wrong: the simulation must see it."""

    def grown(m: int) -> float:
        differences = rng.standard_normal((studies, m, LOOKS[-1]))
        return share(is_wrong(low, high, 0.0, 1e-9) for low, high in ordinary_intervals(differences, LOOKS, 0.05 / m))

    def holm_misses(m: int) -> float:
        truth = rng.normal(0, 30, (studies, m))
        differences = rng.standard_normal((studies, m, 5)) + truth[..., None]
        t = np.abs(differences.mean(-1)) / (differences.std(-1, ddof=1) / math.sqrt(5))
        order = np.argsort(-t, -1)
        levels = 0.05 / (m - np.arange(m))
        missed = np.zeros(studies, bool)
        p = np.take_along_axis(2 * stats.t.sf(t, 4), order, -1)
        failed = np.maximum.accumulate(p > levels, -1)
        first_failed = np.where(failed.any(-1), failed.argmax(-1), m - 1)
        for rank in range(m):
            level = levels[np.minimum(rank, first_failed)]
            chosen = np.take_along_axis(differences, order[:, rank, None, None], 1)[:, 0]
            center = np.take_along_axis(truth, order[:, rank, None], 1)[:, 0]
            half = stats.t.isf(level / 2, 4) * chosen.std(-1, ddof=1) / math.sqrt(5)
            missed |= np.abs(chosen.mean(-1) - center) > half
        return 100 * float(missed.mean())

    yield Row(
        "*old rule*: no difference, a new 95 % interval at 3, 5, 8, 12, 20", tuple(grown(m) for m in (1, 3, 10)), ""
    )
    yield Row(
        "*old rule*: all truly and widely different, Holm's intervals miss",
        tuple(holm_misses(m) for m in (1, 3, 10)),
        "",
    )
    yield Row(
        "*old rule*: claims about all images from seeds alone", _claims_from_seeds(max(100, studies // 20), rng), ""
    )


def _claims_from_seeds(studies: int, rng: np.random.Generator) -> tuple[float | None, ...]:
    wrong = 0
    for _ in range(studies):
        first, second = (rng.normal(0, 1, 500) + rng.normal(0, 0.6, (10, 500)) > -1.5 for _ in range(2))
        on_these = interval(list(100 * images.differences(first, second).mean(1)))
        wrong += on_these.low > 0 or on_these.high < 0
    return (100 * wrong / studies, None, None)


def rows(studies: int, seed: int = 0) -> Iterator[Row]:
    rng = np.random.default_rng(seed)
    for part in (growth_rows, effect_rows, outcome_rows, control_rows):
        yield from part(studies, rng)


def table(lines: Sequence[Row]) -> str:
    head = "| situation | wrong, 1 comparison | 3 | 10 | at most |\n|---|---|---|---|---|\n"
    return head + "".join(
        f"| {row.situation} | {' | '.join('' if w is None else f'{w:.1f} %' for w in row.wrong)} | "
        f"{row.target + ' %' if row.target else ''} |\n"
        for row in lines
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=20_000)
    parser.add_argument("--write", action="store_true", help="put the table into docs/verdicts.md")
    options = parser.parse_args()
    made: list[Row] = []
    for row in rows(options.studies):
        made.append(row)
        print(table([row]).splitlines()[-1], flush=True)
    if options.write:
        text = PAGE.read_text(encoding="utf-8")
        note = f"{options.studies:,} simulated studies a number ({max(100, options.studies // 20):,} where there is one number)."
        content = f"{table(made)}\n{note} `python benchmarks/verdicts.py --write` computes it again.\n"
        PAGE.write_text(TABLE.sub(lambda marked: marked[1] + content + marked[2], text), encoding="utf-8")


if __name__ == "__main__":
    main()
