"""Text and JSON on the terminal."""

import json
import sys
from typing import Any

from rich.console import Console
from rich.text import Text

from striate.studies.results import Results

_OUT, _ERROR = Console(highlight=False, soft_wrap=True), Console(stderr=True, highlight=False, soft_wrap=True)


def out(text: str, *, bold: bool = False, error: bool = False) -> None:
    """A line, without anything in it read as markup."""
    (_ERROR if error else _OUT).print(Text(text, style="bold" if bold else ""))


def table(head: list[str], rows: list[list[str]], right: set[int] = frozenset()) -> None:  # type: ignore[assignment]
    """A plain table; the columns in `right` are numbers."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="bold")
    for index, name in enumerate(head):
        made.add_column(name, justify="right" if index in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    _OUT.print(made, soft_wrap=False)


def plain_json(data: Any) -> None:
    json.dump(data, sys.stdout, indent=1)
    sys.stdout.write("\n")


def results_json(results: Results) -> dict[str, Any]:
    """A study's results as plain data."""
    return {
        "study": results.study.name,
        "question": results.study.question,
        "complete": results.is_complete,
        "verdicts": [
            {
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
            for verdict in results.verdicts
        ],
        "runs": results.table(),
    }


def duration(seconds: float) -> str:
    """42 s, 7 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def megabytes(count: float) -> str:
    return f"{count / 1e6:,.1f} MB" if count < 1e9 else f"{count / 1e9:,.2f} GB"
