"""One page of many studies: each question with its answer in words, and a link to its own page."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from striate.report import pages, sections
from striate.report.wording import count, duration, shortened
from striate.runs.files import write_text
from striate.studies.results import Results

PAGE = "all.html"
SECTIONS = (("studies", "Studies"), ("left-out", "Not answered"), ("reproduce", "Reproduce"))
State = Literal["finished", "stopped", "failed", "left out"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one study."""

    name: str
    row: str
    question: str
    state: State
    seconds: float
    reason: str = ""
    results: Results | None = None
    page: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One study as shown."""

    name: str
    row: str
    question: str
    answers: tuple[str, ...]
    claims: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    link: str
    took: str


def build(outcomes: Sequence[Outcome], folder: Path, size: str) -> str:
    """The page as HTML.

    Raises:
        ReportError: when a file of the page (template, style sheet) is missing.
    """
    entries = tuple(_entry(outcome, folder) for outcome in outcomes if outcome.results)
    without = tuple((o.name, o.state, shortened(o.reason)) for o in outcomes if o.state != "finished")
    seconds = sum(outcome.seconds for outcome in outcomes)
    return pages.render(
        folder="overview/",
        over=f"all studies, size {size}" if size else "all studies",
        contents=SECTIONS,
        section_number={name: number for number, (name, _) in enumerate(SECTIONS, 1)},
        section_title=dict(SECTIONS),
        question="Every built-in question",
        entries=entries,
        without=without,
        progress=f"{count(len(entries), 'answer')}, {len(without)} not finished, in {duration(seconds)}.",
        command=f"striate run all{f' --size {size}' if size else ''}",
    )


def write(outcomes: Sequence[Outcome], folder: Path, size: str) -> Path:
    """Write the page into the folder of the studies' folders, and return its path.

    Raises:
        ReportError: when the page cannot be built.
        RunError: when the disk refuses.
    """
    path = folder / (f"all-{size}.html" if size else PAGE)
    write_text(path, build(outcomes, folder, size))
    return path


def _entry(outcome: Outcome, folder: Path) -> Entry:
    results = outcome.results
    assert results
    return Entry(
        name=outcome.name,
        row=outcome.row,
        question=outcome.question,
        answers=answers_of(results),
        claims=tuple((claim.word, shortened(claim.says)) for claim in results.claims),
        notes=tuple(shortened(note) for note in results.notes),
        link=os.path.relpath(outcome.page, folder).replace(os.sep, "/") if outcome.page else "",
        took=duration(outcome.seconds),
    )


def answers_of(results: Results) -> tuple[str, ...]:
    """The answer to a study's question in sentences: verdicts, effects, the turn of a scale, or the mean of each arm."""
    if results.verdicts:
        return tuple(verdict.sentence for verdict in results.verdicts)
    if results.effects:
        return tuple(effect.sentence for effect in results.effects if not effect.is_interaction)
    if results.scale:
        return (results.scale.sentence,)
    return sections.means(results)
