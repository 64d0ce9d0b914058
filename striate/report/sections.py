"""The results on the page as records of text: verdicts, claims, differences, runs. No markup and no files.

The order of the functions is the order of the page.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from striate.report.contents import section
from striate.report.figures import ArmAccuracy, arm_metric, mean_difference
from striate.report.metric_words import MetricWords, metric_words
from striate.report.wording import (
    MINUS,
    NONE,
    Table,
    abbreviated,
    count,
    duration,
    pair,
    percent,
    plain,
    shortened,
    whole,
)
from striate.runs import Summary
from striate.studies.grids import interactions_in_words
from striate.studies.metrics import is_of_images
from striate.studies.results import Results
from striate.studies.rows import RunRow
from striate.verdicts import Label, Verdict
from striate.verdicts.claims import Word

# Word and glyph: color never carries the verdict alone. Filled is clear, hollow is not.
GLYPHS: dict[Label, tuple[str, str]] = {
    "clearly better": ("\N{BLACK UP-POINTING TRIANGLE}", "up"),
    "better": ("\N{WHITE UP-POINTING TRIANGLE}", "up"),
    "clearly worse": ("\N{BLACK DOWN-POINTING TRIANGLE}", "down"),
    "worse": ("\N{WHITE DOWN-POINTING TRIANGLE}", "down"),
    "no difference that matters": ("=", "same"),
    "trains more often": ("\N{WHITE UP-POINTING TRIANGLE}", "up"),
    "trains less often": ("\N{WHITE DOWN-POINTING TRIANGLE}", "down"),
    "undecided": ("?", "open"),
    "too few seeds": ("\N{BULLET}", "none"),
    "not comparable": ("\N{MULTIPLICATION SIGN}", "none"),
}
CLAIM_GLYPHS: dict[Word, str] = {
    "holds": "\N{CHECK MARK}",
    "does not hold": "\N{MULTIPLICATION SIGN}",
    "undecided": "?",
    "not comparable": NONE,
}
MOST_UNPLANNED = 10
MOST_TROUBLE = 12
MOST_MEANS = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """One verdict as shown."""

    label: str
    glyph: str
    tone: str  # up, down, same, open or none: the colors of the style sheet
    comparison: str
    sentence: str


def cards(results: Results) -> tuple[Card, ...]:
    return cards_of(results.verdicts)


def cards_of(verdicts: Sequence[Verdict]) -> tuple[Card, ...]:
    return tuple(_card(verdict) for verdict in verdicts)


def trouble(results: Results) -> tuple[str, ...]:
    """A line for each run that did not finish normally or finished at chance, up to MOST_TROUBLE."""
    lines = []
    for arm in results.arms:
        rows = results.of(arm.name)
        if len(rows) > 1 and all(row.state == "missing" for row in rows):
            lines.append(f"{arm.name}: none of the {len(rows)} runs has started")
            continue
        lines += [f"{arm.name}, seed {row.seed}: {text}" for row in rows if (text := _trouble(row))]
    hidden = len(lines) - MOST_TROUBLE
    return (
        tuple(lines) if hidden <= 0 else (*lines[:MOST_TROUBLE], f"and {hidden} more; {section('runs')} has all runs")
    )


def progress(results: Results) -> str:
    """6 of 6 runs have a result: 2 arms, 3 seeds. And the runs that the study leaves out, if there are any."""
    ended = sum(row.run is not None and row.run.is_result for row in results.rows)
    size = f"{count(len(results.arms), 'arm')}, {count(len(results.seeds), 'seed')}"
    return f"{ended} of {count(len(results.rows), 'run')} have a result: {size}. {results.left_out_text}".rstrip()


def notes(results: Results) -> tuple[str, ...]:
    """What a reader of the verdicts must know; runs left out are in `progress`."""
    return tuple(_typeset(shortened(note)) for note in results.notes if note != results.left_out_text)


def findings(results: Results) -> tuple[str, ...]:
    """What a grid or a scale found: its effects, or where its loss turns; empty for any other study."""
    effects = [effect.sentence for effect in results.effects if not effect.is_interaction]
    lines = [*effects, *interactions_in_words(results.effects), *([results.scale.sentence] if results.scale else [])]
    return tuple(_typeset(shortened(line)) for line in lines)


def means(results: Results) -> tuple[str, ...]:
    """The mean of each arm, for a study that judges nothing; of very many, the first."""
    if results.study.comparisons or results.effects or results.scale:
        return ()
    words, hidden = metric_words(results), len(results.arms) - MOST_MEANS
    more = (f"and {count(hidden, 'more arm')}, in the figure",) if hidden > 0 else ()
    return (*(_mean(arm_metric(results, arm), words) for arm in results.arms[:MOST_MEANS]), *more)


def claims(results: Results) -> Table | None:
    """Each claim with its verdict and what was measured; None without claims."""
    rows = tuple(
        (
            shortened(claim.says),
            shortened(claim.source) or NONE,
            f"{CLAIM_GLYPHS[claim.word]} {claim.word}",
            _typeset(shortened(claim.sentence)),
        )
        for claim in results.claims
    )
    return Table(head=("claim", "source", "verdict", "what was measured"), rows=rows) if rows else None


def differences_table(results: Results) -> Table | None:
    """The planned comparisons; None without any."""
    words = metric_words(results)
    return differences_of(results.verdicts, words.digits, has_new_images=is_of_images(words.name))


def differences_of(verdicts: Sequence[Verdict], digits: int = 1, *, has_new_images: bool = True) -> Table | None:
    """A row for each comparison; None without any. `has_new_images`: whether there is a column of what holds on new ones."""
    several = len(verdicts) > 1
    rows = [_difference(verdict, several, digits) for verdict in verdicts]
    intervals = ("on these test images", "on new images") if has_new_images else ("confidence interval",)
    head = (
        "comparison",
        "mean of first",
        "mean of second",
        "difference",
        *intervals,
        "confidence level",
        "n",
        "verdict",
    )
    shown = tuple(row if has_new_images else (*row[:5], *row[6:]) for row in rows)
    return Table(head=head, rows=shown) if rows else None


def image_note(words: MetricWords, *, has_new_images: bool, need: str) -> str:
    """What the intervals know of the test images; `need`: what those on new images are made from, in words."""
    if not words.metric.on_test_images:
        return ""
    if has_new_images:
        return " The interval on these test images knows the seeds as a sample; the one on new images knows the images as a sample too."
    return f" The intervals hold on these test images. What holds on new ones {need}."


def uncertainty(results: Results) -> tuple[str, ...]:
    return uncertainty_of(results.verdicts)


def uncertainty_of(verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    """For each comparison with an interval, where its width comes from."""
    return tuple(
        f"{abbreviated(pair(v.first, v.second))}: {_typeset(shortened(v.details))}" for v in verdicts if v.details
    )


def unplanned(results: Results) -> Table | None:
    """Pairs of arms that no comparison was planned for, with their mean differences alone; the largest first."""
    words = metric_words(results)
    planned = {frozenset((c.first, c.second)) for c in results.study.comparisons}
    values = {
        arm.name: {point.seed: point.value for point in arm_metric(results, arm).points if point.trained}
        for arm in results.arms
    }
    pairs = []
    for second, first in itertools.combinations(values, 2):
        both = [seed for seed in values[first] if seed in values[second]]
        if both and frozenset((first, second)) not in planned:
            means = [words.mean([values[arm][seed] for seed in both]) for arm in (first, second)]
            pairs.append((words.difference_of(*means), first, second, len(both)))
    pairs.sort(key=lambda item: (-abs(item[0]), item[1:]))
    rows = tuple((pair(a, b), words.difference(mean), str(n)) for mean, a, b, n in pairs[:MOST_UNPLANNED])
    note = f"The {MOST_UNPLANNED} largest of {len(pairs)} pairs." if len(pairs) > MOST_UNPLANNED else ""
    return Table(head=("pair", "mean difference", "n"), rows=rows, note=note) if rows else None


def all_runs(results: Results) -> Table:
    """A row for each run; the metric of the study has a column where it is none of the others."""
    words = metric_words(results)
    others = ("test accuracy", "validation accuracy", "training time", "images a second")
    values: dict[tuple[str, int], str] = {}
    for arm in results.arms if words.name not in others else ():
        values |= {(arm.name, point.seed): words.cell(point.value) for point in arm_metric(results, arm).points}
    own = (words.axis,) if words.name not in others else ()
    head = (
        "arm", "seed", "state", *own, "test accuracy", "validation accuracy", "best epoch", "epochs", "time", "images/s", "remark",
    )  # fmt: skip
    rows = tuple(_run(row, *(values.get((row.arm, row.seed), NONE) for _ in own)) for row in results.rows)
    return Table(head=head, rows=rows)


def _card(verdict: Verdict) -> Card:
    glyph, tone = GLYPHS[verdict.label]
    return Card(
        label=verdict.label,
        glyph=glyph,
        tone=tone,
        comparison=pair(verdict.first, verdict.second),
        sentence=_typeset(shortened(verdict.sentence)),
    )


def _typeset(sentence: str) -> str:
    """A sentence of a verdict with the signs of print."""
    return re.sub(r" -(?=\d)", f" {MINUS}", sentence.replace("+-", "\N{PLUS-MINUS SIGN}"))


def _trouble(row: RunRow) -> str:
    """What is wrong with a run; empty where nothing is."""
    reason = shortened(row.reason)
    in_brackets = f" ({reason})" if reason else ""
    match row.state:
        case "finished":
            return (reason or "accuracy at chance") if row.is_at_chance else ""
        case "diverged":
            return f"diverged{in_brackets}"
        case "unfinished":
            return f"unfinished after {count(row.epochs_done, 'epoch')}"
    return f"{row.state}{in_brackets}"


def _mean(arm: ArmAccuracy, words: MetricWords) -> str:
    if arm.mean is None:
        return f"{arm.arm}: no {words.name} yet."
    if arm.interval is None:
        return f"{arm.arm}: {words.value(arm.mean)} {words.name} (1 seed, so the spread between seeds is unknown)."
    deviation = arm.standard_deviation
    spread = words.cell(deviation) if words.metric.scale == "ratio" else plain(deviation, words.digits)
    return (
        f"{arm.arm}: mean {words.name} {words.value(arm.mean)} (standard deviation {spread}, "
        f"95 % confidence interval {words.between(arm.interval)}, {count(arm.n, 'seed')})."
    )


def _difference(verdict: Verdict, several: bool, digits: int) -> tuple[str, ...]:
    interval, words = verdict.interval, MetricWords(metric=verdict.metric, digits=digits)
    differences = verdict.differences if verdict.label != "not comparable" else {}
    return (
        pair(verdict.first, verdict.second),
        words.value(verdict.first_mean),
        words.value(verdict.second_mean),
        words.difference(mean_difference(verdict)) if differences else NONE,
        words.between_differences(interval) if interval else NONE,
        _on_new_images(verdict, words),
        ("95 % together" if several else "95 %") if interval else NONE,
        str(len(differences)) if differences else NONE,
        f"{GLYPHS[verdict.label][0]} {verdict.label}",
    )


def _on_new_images(verdict: Verdict, words: MetricWords) -> str:
    """The interval that knows that the test images are a sample too, and its word where it is another."""
    if verdict.new_images is None:
        return NONE
    word = f" ({verdict.new_images_label})" if verdict.new_images_label != verdict.label else ""
    return f"{words.between_differences(verdict.new_images)}{word}"


def _run(row: RunRow, *own: str) -> tuple[str, ...]:
    summary = row.summary
    speeds = [epoch.images_per_second for epoch in row.run.metrics if epoch.images_per_second] if row.run else []
    return (
        row.arm,
        str(row.seed),
        f"{row.state}, at chance" if row.is_at_chance else row.state,
        *own,
        NONE if row.state == "diverged" else percent(row.test_accuracy, 2),
        percent(row.validation_accuracy, 2),
        plain(summary.best_epoch if summary else None, 0),
        str(row.epochs_done),
        duration(summary.seconds if summary else None),
        whole(median(speeds) if speeds else None),
        (_remark(summary) if summary else "") or NONE,
    )


def _remark(summary: Summary) -> str:
    """Why a run failed, diverged or stayed at chance, or what ended it early."""
    return shortened(summary.reason or ("" if summary.stopped.startswith("all ") else summary.stopped))
