"""A study's results as lines of text, as JSON and as a report."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from striate.cli.output import count, out, table
from striate.studies.grids import arm_facts, interactions_in_words
from striate.studies.metrics import run_metric
from striate.studies.results import Results
from striate.studies.scales import ScaleResults
from striate.verdicts import Verdict
from striate.verdicts.claims import ClaimVerdict
from striate.verdicts.factorial import Effect
from striate.verdicts.summaries import summarize
from striate.verdicts.wording import digits_for, value

MOST_ARMS = 30  # in the table of a terminal


def print_results(results: Results, reasons: Mapping[str, str] = {}) -> None:
    """The verdicts, what should be known of them, what failed, and a table of the arms.

    `reasons`: why runs failed, by label, as their workers sent it. A full disk can keep a reason out of the run's folder.
    """
    for verdict in results.verdicts:
        out(f"  {verdict.sentence}")
        if verdict.details:
            out(f"    {verdict.details}")
    for note in results.notes:
        out(f"  {note}")
    if results.effects:
        _print_grid(results)
    elif results.scale:
        _print_scale(results.scale)
    for claim in results.claims:
        out(f"  claim: {claim}")
    failures = {label: f"failed: {reason}" for label, reason in reasons.items()}
    failures |= {f"{row.arm} seed {row.seed}": f"{row.state}: {row.reason}" for row in results.failures}
    for label, text in failures.items():
        out(f"  {label} {text}")
    if not results.scale:
        print_arms(results)


def _print_grid(results: Results) -> None:
    """Main effects, and what interacts."""
    for effect in results.effects:
        if not effect.is_interaction:
            out(f"  {effect.sentence}")
    for sentence in interactions_in_words(results.effects):
        out(f"  {sentence}")


def _print_scale(scale: ScaleResults) -> None:
    """The turn, and a table of the losses."""
    out(f"  {scale.sentence}")
    rows = []
    for index, size in enumerate(scale.sizes):
        losses = [_number(size.training_mean, ".4f"), _number(size.validation_mean, ".4f")]
        mark = "lowest" if index == scale.turn.lowest else "may be lowest" if index in scale.turn.candidates else ""
        rows.append([size.arm, _number(size.parameters, ","), *losses, f"{len(size.validation.values)}", mark])
    out("")
    table(["arm", "parameters", "training loss", "validation loss", "seeds", ""], rows, right=range(1, 5))


def print_arms(results: Results) -> None:
    """The study's metric, time and parameters of each arm, as a table; nothing before the first result."""
    metric, digits = run_metric(results.study.metric).metric, digits_for(results.study.matters)
    facts = {arm.name: arm_facts(arm.name, results.of(arm.name)) for arm in results.arms}
    rows = []
    for name, arm in list(results.arm_values.items())[:MOST_ARMS]:
        of = summarize(arm, metric)
        span = f"{of.interval.low:.{digits}f} to {of.interval.high:.{digits}f}" if of.interval else "-"
        mean = "-" if of.mean is None else value(of.mean, metric, digits)
        cost = [_number(facts[name].seconds, ",.1f"), _number(facts[name].parameters, ",")]
        numbers = [mean, _number(of.deviation, f".{digits}f"), span, f"{of.n}", *cost]
        rows.append([name, *numbers, f"{facts[name].not_trained}" if facts[name].not_trained else ""])
    if not any(arm.values or arm.failures for arm in results.arm_values.values()):
        return
    head = ["arm", metric.name, "deviation", "95 % interval", "seeds", "seconds", "parameters", "not trained"]
    width = len(head) if any(row[-1] for row in rows) else len(head) - 1
    out("")
    table(head[:width], [row[:width] for row in rows], right=range(1, width))
    if (hidden := len(results.arms) - len(rows)) > 0:
        out(f"and {count(hidden, 'more arm')}; the report has all")


def _number(number: float | None, form: str) -> str:
    return "-" if number is None else f"{number:{form}}"


def results_json(results: Results) -> dict[str, Any]:
    """A study's results as plain data."""
    return {
        "study": results.study.name,
        "question": results.study.question,
        "complete": results.is_complete,
        "verdicts": [verdict_json(verdict) for verdict in results.verdicts],
        "notes": list(results.notes),
        "claims": [_claim_json(claim) for claim in results.claims],
        "effects": [_effect_json(effect) for effect in results.effects],
        "scale": _scale_json(results.scale) if results.scale else None,
        "arms": results.arm_table(),
        "runs": results.table(),
    }


def _claim_json(claim: ClaimVerdict) -> dict[str, Any]:
    statements = [
        {
            "text": judged.text,
            "word": judged.word,
            "metric": judged.metric.name,
            "stated": judged.target,
            "tolerance": judged.tolerance,
            "measured": judged.measured,
            "low": judged.interval.low if judged.interval else None,
            "high": judged.interval.high if judged.interval else None,
            "seeds": judged.seeds,
        }
        for judged in claim.statements
    ]
    return {
        "says": claim.says,
        "source": claim.source,
        "word": claim.word,
        "sentence": claim.sentence,
        "statements": statements,
    }


def _effect_json(effect: Effect) -> dict[str, Any]:
    return {
        "factors": list(effect.factors),
        "levels": list(effect.levels),
        "label": effect.label,
        "sentence": effect.sentence,
        "effect": effect.interval.mean if effect.interval else None,
        "low": effect.interval.low if effect.interval else None,
        "high": effect.interval.high if effect.interval else None,
    }


def _scale_json(scale: ScaleResults) -> dict[str, Any]:
    sizes = [
        {
            "arm": size.arm,
            "parameters": size.parameters,
            "training_loss": size.training_mean,
            "validation_loss": size.validation_mean,
            "seeds": len(size.validation.values),
            "may_be_lowest": index in scale.turn.candidates,
        }
        for index, size in enumerate(scale.sizes)
    ]
    return {"shape": scale.turn.shape, "sentence": scale.sentence, "sizes": sizes}


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """A verdict as plain data."""
    interval, on_new, promise = verdict.interval, verdict.new_images, verdict.promise
    return {
        "comparison": verdict.comparison,
        "label": verdict.label,
        "sentence": verdict.sentence,
        "details": verdict.details,
        "metric": verdict.metric.name,
        "difference": interval.mean if interval else None,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "confidence": interval.confidence if interval else None,
        "comparisons": verdict.comparisons,
        "matters": verdict.matters,
        "seeds": len(verdict.differences),
        "looks": list(verdict.looks),
        "seeds_beyond_plan": verdict.beyond_plan,
        "new_images": {"label": verdict.new_images_label, "low": on_new.low, "high": on_new.high} if on_new else None,
        "failures": {failed.arm: dict(failed.kinds) for failed in verdict.failures or ()},
        "seeds_needed": {"certain": promise.certain, "if_at_most": promise.spread, "likely": promise.likely}
        if promise
        else None,
    }


def write_report(results: Results) -> Path:
    """Write report.html into the study's folder."""
    from striate.report import pages

    return pages.write(results)
