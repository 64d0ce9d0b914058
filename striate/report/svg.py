"""Vega-Lite charts to inline SVG, and SVG to PNG and PDF. vl-convert does it in a child process, all charts of a page in one.

Promises: the same chart gives the same bytes; identifiers begin with the chart's own name, so no two charts share a
clip path; nothing is fetched. A chart that cannot be drawn (the child raises, dies or hangs) carries the reason and
costs no other chart, except that a hang uses up the time of those behind it.
"""

import base64
import html
import importlib.util
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any

from markupsafe import Markup

from striate.core.processes import Child, Message
from striate.report.marks import Spec
from striate.report.wording import one_line, shortened

RENDERER = "striate.report.render_charts"
TIME_LIMIT = 120.0  # seconds for all charts of a page; 8 arms with 5 seeds take 3 s on two cores
TOO_SLOW = "the renderer (vl-convert) took too long"
CRASHED = "the renderer (vl-convert) crashed"
NO_SVG = Markup()


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """A chart to draw: one figure at one size."""

    figure: str
    size: str  # a class of the style sheet, which shows the size that fits the page
    spec: Spec
    label: str  # read aloud by a screen reader

    @property
    def name(self) -> str:
        return f"{self.figure}-{self.size}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawing:
    """The SVG of a chart, or why there is none."""

    svg: Markup = NO_SVG
    failure: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Converted:
    """The PNG and the PDF of a picture, or why there are none."""

    png: bytes = b""
    pdf: bytes = b""
    failure: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A figure as (size, SVG) pairs, or why there are none; the failure is empty where vl-convert is not installed."""

    sizes: tuple[tuple[str, Markup], ...] = ()
    failure: str = ""


def is_available() -> bool:
    """Whether vl-convert is installed. It is not imported."""
    return importlib.util.find_spec("vl_convert") is not None


def pictures(charts: Sequence[Chart]) -> dict[str, Picture]:
    """A picture for each figure of `charts`; a figure that lacks one size is not drawn at any."""
    drawings = render(charts) if is_available() else [Drawing()] * len(charts)
    by_figure: dict[str, Picture] = {}
    for chart, drawing in zip(charts, drawings, strict=True):
        before = by_figure.get(chart.figure, Picture())
        failure = before.failure or drawing.failure
        sizes = () if failure or not drawing.svg else (*before.sizes, (chart.size, drawing.svg))
        by_figure[chart.figure] = Picture(sizes=sizes, failure=failure)
    return by_figure


def render(charts: Sequence[Chart], *, renderer: str = RENDERER, time_limit: float = TIME_LIMIT) -> list[Drawing]:
    """A drawing for each chart, in order. `renderer` is the module that the child process runs."""
    answers = _answers([_with_safe_texts(chart.spec) for chart in charts], renderer, time_limit)
    return [_drawing(chart, answer) for chart, answer in zip(charts, answers, strict=True)]


def convert(svgs: Sequence[str], *, renderer: str = RENDERER, time_limit: float = TIME_LIMIT) -> list[Converted]:
    """Each SVG, a file of its own without CSS variables, as PNG and PDF."""
    return [_converted(answer) for answer in _answers([{"svg": text} for text in svgs], renderer, time_limit)]


def _answers(messages: Sequence[Message], renderer: str, time_limit: float) -> list[Message]:
    """The answer to each message, or {"failure": why there is none}."""
    deadline = time.monotonic() + time_limit
    answers: list[Message] = []
    while len(answers) < len(messages):
        answers += _ask(renderer, messages[len(answers) :], deadline)
        waiting = len(messages) - len(answers)
        if time.monotonic() >= deadline:
            answers += [{"failure": TOO_SLOW}] * waiting
        elif waiting:  # the child died at the next one; another child does those behind it
            answers.append({"failure": CRASHED})
    return answers


def _ask(renderer: str, messages: Sequence[Message], deadline: float) -> list[Message]:
    """The answers of one child: fewer than messages where it dies or is still at work at the deadline."""
    answers: list[Message] = []
    done = Event()

    def hear(message: Message | None) -> None:
        if message is not None:
            answers.append(message)
        if message is None or len(answers) == len(messages):
            done.set()

    child = Child(renderer, hear=hear)
    try:
        for message in messages:
            child.send(message)
        done.wait(max(deadline - time.monotonic(), 0.0))
    finally:
        child.kill()
        child.end(0)
    return answers


def _failure(answer: Message) -> str:
    return answer.get("failure") or f"vl-convert says: {shortened(answer['error'])}"


def _converted(answer: Message) -> Converted:
    if "png" not in answer:
        return Converted(failure=_failure(answer))
    return Converted(png=base64.b64decode(answer["png"]), pdf=base64.b64decode(answer["pdf"]))


def _drawing(chart: Chart, answer: Message) -> Drawing:
    if "svg" not in answer:
        return Drawing(failure=_failure(answer))
    return Drawing(svg=Markup(_inline(answer["svg"], chart.name, one_line(chart.label))))


def _inline(svg: str, name: str, label: str) -> str:
    """The SVG for use inside HTML: identifiers of its own, a label, no fixed size, no bytes without use."""
    ids: dict[str, str] = {}

    def rename(match: re.Match[str]) -> str:
        return match[1] + ids.setdefault(match[2], f"{name}-{len(ids) + 1}")

    def slim(tag: str) -> str:
        # One image with one label: roles of its parts are noise to a screen reader and a third of the bytes.
        tag = re.sub(r' (?:aria-[a-z]+|role|class|pointer-events|xmlns:xlink|version)="[^"]*"', "", tag)
        tag = re.sub(r'(\bid="|url\(#)([^")]+)', rename, tag)
        return re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", tag)

    # Only tags are changed: the text between them holds names, such as lr=0.0005.
    svg = re.sub(r"<[^>]*>", lambda tag: slim(tag[0]), svg)
    svg = re.sub(r'<path d="M0,0h0v0h0Z"/>|<path d="" display="none"/>', "", svg)
    width = re.search(r'<svg[^>]* width="(\d+)', svg)
    size = f' style="max-width:{int(width[1]) * 1.12:.0f}px"' if width else ""
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"', r"\1", svg, count=1)
    return svg.replace("<svg", f'<svg class="chart" role="img" aria-label="{html.escape(label)}"{size}', 1)


def _with_safe_texts(part: Any) -> Any:
    """A part of a specification with each text made safe to draw."""
    if isinstance(part, str):
        return one_line(part)
    if isinstance(part, dict):
        return {key: _with_safe_texts(item) for key, item in part.items()}
    if isinstance(part, list | tuple):
        return [_with_safe_texts(item) for item in part]
    return part
