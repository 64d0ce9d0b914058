"""What each section of the page says, as records of text. No markup here and no files: `pages` puts it on paper.

The order of the functions is the order of the page.
"""

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from striate.report import wording
from striate.report.figures import ArmAccuracy, arm_accuracy, mean_difference
from striate.report.wording import NONE, Table, count, pair, percent, plain, shortened, signed
from striate.runs import Summary
from striate.studies.results import Results, RunRow
from striate.studies.verdict import Label, Verdict

# Word and glyph: color never carries the verdict alone. Filled is clear, hollow is not.
GLYPHS: dict[Label, tuple[str, str]] = {
    "clearly better": ("\N{BLACK UP-POINTING TRIANGLE}", "up"),
    "better": ("\N{WHITE UP-POINTING TRIANGLE}", "up"),
    "clearly worse": ("\N{BLACK DOWN-POINTING TRIANGLE}", "down"),
    "worse": ("\N{WHITE DOWN-POINTING TRIANGLE}", "down"),
    "no difference that matters": ("=", "same"),
    "undecided": ("?", "open"),
    "too few seeds": ("\N{BULLET}", "unjudged"),
    "not comparable": ("\N{MULTIPLICATION SIGN}", "unjudged"),
}
MOST_NOTICED = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """One verdict as shown."""

    label: str
    glyph: str
    tone: str  # up, down, same, open or unjudged: the page's colors
    comparison: str
    sentence: str


def cards(results: Results) -> tuple[Card, ...]:
    return tuple(_card(verdict) for verdict in results.verdicts)


def trouble(results: Results) -> tuple[str, ...]:
    """A line for each run that is not simply finished, and for each that stayed at chance."""
    lines = []
    for arm in results.arms:
        rows = results.of(arm.name)
        if len(rows) > 1 and all(row.state == "missing" for row in rows):
            lines.append(f"{arm.name}: all {len(rows)} runs are missing")
            continue
        lines += [f"{arm.name}, seed {row.seed}: {_trouble(row)}" for row in rows if _trouble(row)]
    return tuple(lines)


def progress(results: Results) -> str:
    """6 of 6 runs have ended: 2 arms, 3 seeds."""
    ended = sum(row.run is not None and row.run.is_result for row in results.rows)
    size = f"{count(len(results.arms), 'arm')}, {count(len(results.study.seeds), 'seed')}"
    return f"{ended} of {count(len(results.rows), 'run')} ended with a result: {size}."


def means(results: Results) -> tuple[str, ...]:
    """For a study that plans no comparison: what each arm reached."""
    return tuple(_mean(arm_accuracy(results, arm.name)) for arm in results.arms)


def claims(results: Results) -> Table | None:
    """What someone said beside what was measured; no verdict, the circumstances may differ."""
    rows = []
    for claim in results.study.claims:
        for arm, claimed in claim.values.items() or [("", None)]:
            found = arm_accuracy(results, arm) if arm else None
            measured = found.mean if found else None
            gap = None if measured is None or claimed is None else measured - claimed
            n = str(found.n) if found else NONE
            rows.append(
                (
                    shortened(claim.says),
                    shortened(claim.source) or NONE,
                    arm or NONE,
                    percent(claimed),
                    percent(measured),
                    signed(gap),
                    n,
                )
            )
    head = ("what is claimed", "source", "arm", "claimed", "measured mean", "points apart", "n")
    return Table(head=head, rows=tuple(rows)) if rows else None


def differences_table(results: Results) -> Table | None:
    head = ("comparison", "mean of first", "mean of second", "difference", "interval", "confidence", "n", "verdict")
    rows = tuple(_difference(verdict) for verdict in results.verdicts)
    return Table(head=head, rows=rows) if rows else None


def noticed(results: Results) -> Table | None:
    """Pairs that nobody planned to compare: the mean difference and no more. The largest first, as that is what one notices."""
    planned = {frozenset((c.first, c.second)) for c in results.study.comparisons}
    accuracy = {arm.name: {row.seed: row.test_accuracy for row in results.of(arm.name)} for arm in results.arms}
    pairs = []
    for second, first in itertools.combinations(accuracy, 2):
        both = [
            (a, b) for seed, a in accuracy[first].items() if a is not None and (b := accuracy[second][seed]) is not None
        ]
        if frozenset((first, second)) not in planned and both:
            pairs.append((sum(a - b for a, b in both) / len(both), first, second, len(both)))
    pairs.sort(key=lambda pair: (-abs(pair[0]), pair[1:]))
    rows = tuple((pair(first, second), signed(mean), str(n)) for mean, first, second, n in pairs[:MOST_NOTICED])
    note = f"The {MOST_NOTICED} largest of {len(pairs)} pairs." if len(pairs) > MOST_NOTICED else ""
    return Table(head=("pair", "mean difference", "n"), rows=rows, note=note) if rows else None


def all_runs(results: Results) -> Table:
    head = (
        "arm", "seed", "state", "test accuracy", "validation accuracy", "best epoch", "epochs", "time", "images/s", "how it ended",
    )  # fmt: skip
    return Table(head=head, rows=tuple(_run(row) for row in results.rows))


def sentence_of(verdict: Verdict) -> str:
    """The verdict's own sentence, with the signs of print; a reason inside may name a file of the machine that ran it."""
    said = shortened(verdict.sentence).replace("+-", "\N{PLUS-MINUS SIGN}")
    return re.sub(r" -(?=\d)", f" {wording.MINUS}", said)


def _card(verdict: Verdict) -> Card:
    glyph, tone = GLYPHS[verdict.label]
    return Card(
        label=verdict.label,
        glyph=glyph,
        tone=tone,
        comparison=pair(verdict.first, verdict.second),
        sentence=sentence_of(verdict),
    )


def _trouble(row: RunRow) -> str:
    reason = shortened(row.reason)
    said = {"finished": "", "diverged": "diverged, counts as chance"}.get(row.state, row.state)
    said = f"{said} ({reason})" if said and reason else said
    if row.state == "unfinished":
        said = f"unfinished after {count(row.epochs_done, 'epoch')}"
    return said or ((reason or "stayed at chance") if row.is_at_chance else "")


def _mean(arm: ArmAccuracy) -> str:
    if arm.mean is None:
        return f"{arm.arm}: no run has a test accuracy yet."
    n = count(arm.n, "seed")
    if arm.interval is None:
        return f"{arm.arm}: {percent(arm.mean)} test accuracy with {n}; one run cannot tell how far luck carries."
    return f"{arm.arm}: {percent(arm.mean)} mean test accuracy (95 % interval {wording.between(arm.interval.low, arm.interval.high)}; {n})."


def _difference(verdict: Verdict) -> tuple[str, ...]:
    found = verdict.interval
    shown = verdict.differences if verdict.label != "not comparable" else {}
    return (
        pair(verdict.first, verdict.second),
        percent(verdict.first_mean),
        percent(verdict.second_mean),
        signed(mean_difference(verdict)) if shown else NONE,
        wording.between_signed(found.low, found.high) if found else NONE,
        f"{found.confidence * 100:.3g} %" if found else NONE,
        str(len(shown)) if shown else NONE,
        f"{GLYPHS[verdict.label][0]} {verdict.label}",
    )


def _run(row: RunRow) -> tuple[str, ...]:
    summary = row.summary
    state = f"{row.state}, at chance" if row.is_at_chance else row.state
    speeds = _present(m.images_per_second for m in row.run.metrics) if row.run else []
    return (
        row.arm,
        str(row.seed),
        state,
        percent(row.test_accuracy, 2) + " (chance)" * (row.state == "diverged"),
        percent(row.validation_accuracy, 2),
        plain(summary.best_epoch if summary else None, 0),
        str(row.epochs_done),
        wording.duration(summary.seconds if summary else None),
        wording.whole(sorted(speeds)[len(speeds) // 2] if speeds else None),
        (shortened(_ending(summary)) if summary else "") or NONE,
    )


def _ending(summary: Summary) -> str:
    """What is worth a word: a failure, a likely cause, an early end."""
    return summary.reason or ("" if summary.stopped.startswith("all ") else summary.stopped)


def _present(values: Iterable[Any]) -> list[Any]:
    return [value for value in values if value is not None]
