"""How studies and results are shown in a notebook: HTML without scripts, in the colors of the notebook, light or dark."""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from striate.verdicts import ArmResults, Metric, Verdict
from striate.verdicts.summaries import ArmSummary, summarize
from striate.verdicts.wording import digits_for, value

MOST_ARMS = 30
MOST_DOTS = 100
_WIDTH, _HEIGHT, _MARGIN = 260, 20, 6  # of the drawing of one arm, in pixels


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the results of a study say, and the numbers of each arm."""

    question: str
    status: str
    verdicts: Sequence[Verdict]
    lines: Sequence[str]  # verdicts on claims, and what a reader must know
    arms: Sequence[ArmResults]
    metric: Metric
    matters: float
    page: str = ""  # where the report is


def page(title: str, lines: Iterable[str], head: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """A title, a list of lines and a table, as HTML."""
    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    return f"<p><b>{html.escape(title)}</b></p><ul>{items}</ul>{_table(head, [map(_text, row) for row in rows])}"


def answer(made: Answer) -> str:
    """The answer of a study: each verdict with its sentence, and a line for each arm with a dot for each run."""
    parts = [f"<p><b>{html.escape(made.question)}</b><br><small>{html.escape(made.status)}</small></p>"]
    parts += [
        f"<p><b>{html.escape(verdict.label)}</b>: {html.escape(verdict.comparison)}<br>{html.escape(verdict.sentence)}</p>"
        for verdict in made.verdicts
    ]
    if made.lines:
        parts.append(f"<ul>{''.join(f'<li>{html.escape(line)}</li>' for line in made.lines)}</ul>")
    parts.append(_arms(made))
    if made.page:
        parts.append(f"<p><small>The whole report: {html.escape(made.page)}</small></p>")
    return "".join(parts)


def _arms(made: Answer) -> str:
    shown = [(arm, summarize(arm, made.metric)) for arm in made.arms[:MOST_ARMS]]
    ends = [end for arm, of in shown for end in (*arm.values.values(), *_ends(of))]
    if not ends:
        return ""
    axis = f"{_value(min(ends), made)} to {_value(max(ends), made)}"
    head = ["arm", f"mean {made.metric.name}", "standard deviation", "95 % interval", "seeds", f"runs, {axis}"]
    digits = digits_for(made.matters)
    rows = []
    for arm, of in shown:
        deviation = "" if of.deviation is None else f"{of.deviation:.{digits}f}"
        span = " to ".join(_value(end, made) for end in _ends(of))
        cells = map(_text, (arm.arm, _value(of.mean, made), deviation, span, of.n))
        rows.append([*cells, _drawing(arm, of, min(ends), max(ends))])
    hidden = len(made.arms) - len(shown)
    more = f"<p><small>and {hidden} more arms</small></p>" if hidden else ""
    return _table(head, rows) + more


def _ends(of: ArmSummary) -> tuple[float, ...]:
    return (of.interval.low, of.interval.high) if of.interval else ()


def _value(number: float | None, made: Answer) -> str:
    return "" if number is None else value(number, made.metric, digits_for(made.matters))


def _drawing(arm: ArmResults, of: ArmSummary, low: float, high: float) -> str:
    """A bar for the interval, a dot for each run, a stroke for the mean."""
    scale = (_WIDTH - 2 * _MARGIN) / ((high - low) or 1.0)

    def x(number: float) -> float:
        return _MARGIN + (number - low) * scale

    middle, parts = _HEIGHT / 2, []
    if of.interval:
        a, b = x(of.interval.low), x(of.interval.high)
        bar = f'x="{a:.1f}" y="{middle - 3}" width="{b - a:.1f}" height="6" rx="3"'
        parts.append(f'<rect {bar} fill="currentColor" opacity=".25"/>')
    some = list(arm.values.values())[:MOST_DOTS]
    parts += [f'<circle cx="{x(y):.1f}" cy="{middle}" r="2.6" fill="currentColor" opacity=".75"/>' for y in some]
    if of.mean is not None:
        stroke = 'stroke="currentColor" stroke-width="2"'
        parts.append(f'<path d="M{x(of.mean):.1f},{middle - 8}v16" {stroke}/>')
    label = html.escape(f"{arm.arm}: {of.n} runs")
    box = f'width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    return f'<svg role="img" aria-label="{label}" {box}>{"".join(parts)}</svg>'


def _table(head: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """`rows` are HTML."""
    names = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"


def _text(content: Any) -> str:
    if content is None:
        return ""
    return html.escape(f"{content:.2f}" if isinstance(content, float) else str(content))
