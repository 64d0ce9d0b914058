"""`striate judge`: verdicts on numbers from anywhere."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from striate.cli.output import count, out, plain_json
from striate.core.errors import TableError
from striate.report import judged as judged_page
from striate.tables import Choices, Judged, judge
from striate.tables.judge import Question


@dataclass(frozen=True, kw_only=True)
class Files:
    """Where to write."""

    report: Path | None
    figures: Path | None
    latex: Path | None


def command(path: Path, choices: Choices, question: Question, files: Files, as_json: bool) -> None:
    """Print how the file was read, the verdicts and the notes, and write the page and what else is asked for."""
    check(question)
    judged = judge(path, choices, question)
    page = files.report or Path(f"{path.absolute().stem}-verdicts.html")
    judged_page.write(judged, page)
    if files.figures:
        judged_page.write_figures(judged, files.figures)
    if files.latex:
        judged_page.write_tables(judged, files.latex)
    if as_json:
        plain_json(_json(judged, page))
        return
    out(
        f"{judged.place}: {count(len(judged.arms), 'arm')}, {count(len(judged.seeds), 'seed')} ({judged.origin})",
        bold=True,
    )
    for role, text in judged.mapping:
        out(f"  {role:<8}{text}")
    for verdict in judged.verdicts:
        out(f"  {verdict.sentence}")
    for note in judged.notes:
        out(f"  {note}")
    out(f"Report: {page}")
    for what, file in (("Figures", files.figures), ("Tables", files.latex)):
        if file:
            out(f"{what}: {file}")


def check(question: Question) -> None:
    """Refuse values of options that mean nothing."""
    from striate.tables.metric import BETTER, KINDS

    for option, value, known in (
        ("--as", question.kind, KINDS),
        ("--better", question.better, BETTER),
        ("--empty", question.empty, ("missing", "diverged")),
    ):
        if value and value not in known:
            raise TableError(f"{option}: must be one of {', '.join(known)}, got '{value:.40}'")
    if question.at not in {"last", "max", "min"}:
        try:
            float(question.at)
        except ValueError as error:
            raise TableError(f"--at: must be last, max, min or a step, got '{question.at:.40}'") from error
    if question.matters is not None and not 0 < question.matters < 1e12:
        raise TableError(f"--matters: must be above 0, got {question.matters:g}")


def _json(judged: Judged, page: Path) -> dict[str, Any]:
    from striate.cli.results import verdict_json

    return {
        "file": judged.place,
        "mapping": dict(judged.mapping),
        "metric": judged.design.metric.name,
        "verdicts": [verdict_json(verdict) for verdict in judged.verdicts],
        "notes": list(judged.notes),
        "values": {arm.arm: {str(seed): value for seed, value in arm.values.items()} for arm in judged.arms},
        "report": str(page),
    }
