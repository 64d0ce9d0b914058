"""A study's results as lines of text, as JSON and as a report."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from striate.cli.output import count, out
from striate.studies.results import Results
from striate.verdicts import Verdict


def print_results(results: Results, reasons: Mapping[str, str] = {}) -> None:
    """The verdicts (or each arm's accuracy), what should be known of them, and what failed.

    `reasons`: why runs failed, by label, as their workers sent it. A full disk can keep a reason out of the run's folder.
    """
    for verdict in results.verdicts:
        out(f"  {verdict.sentence}")
    for note in results.notes:
        out(f"  {note}")
    if not results.verdicts:
        for arm in results.arms:
            out(f"  {arm_line(results, arm.name)}")
    failures = {label: f"failed: {reason}" for label, reason in reasons.items()}
    failures |= {f"{row.arm} seed {row.seed}": f"{row.state}: {row.reason}" for row in results.failures}
    for label, text in failures.items():
        out(f"  {label} {text}")


def arm_line(results: Results, arm: str) -> str:
    """An arm's mean test accuracy, its spread and its number of seeds."""
    from striate.verdicts.intervals import deviation

    rows = results.of(arm)
    accuracies = [row.test_accuracy for row in rows if row.trained and row.test_accuracy is not None]
    failures = [row.failure for row in rows if row.failure]
    failed = [f"{failures.count(kind)} {kind}" for kind in dict.fromkeys(failures)]
    if not accuracies:
        return f"{arm}: no run that trained" + (f" ({', '.join(failed)})" if failed else "")
    n = len(accuracies)
    parts = [count(n, "seed")]
    if n > 1:
        parts.append(f"standard deviation {deviation(accuracies):.1f}")
    return f"{arm}: {sum(accuracies) / n:.1f} % test accuracy ({', '.join(parts + failed)})"


def results_json(results: Results) -> dict[str, Any]:
    """A study's results as plain data."""
    return {
        "study": results.study.name,
        "question": results.study.question,
        "complete": results.is_complete,
        "verdicts": [verdict_json(verdict) for verdict in results.verdicts],
        "runs": results.table(),
    }


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """A verdict as plain data."""
    return {
        "comparison": verdict.comparison,
        "label": verdict.label,
        "sentence": verdict.sentence,
        "difference": verdict.interval.mean if verdict.interval else None,
        "low": verdict.interval.low if verdict.interval else None,
        "high": verdict.interval.high if verdict.interval else None,
        "confidence": verdict.interval.confidence if verdict.interval else None,
        "matters": verdict.matters,
        "seeds": len(verdict.differences),
    }


def write_report(results: Results) -> Path:
    """Write report.html into the study's folder."""
    from striate.report import pages

    return pages.write(results)
