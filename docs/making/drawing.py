"""Figures of the answers as SVG files: the charts of a study's report, each readable alone on a light or a dark page.

A file states which chart it is by a fingerprint of its numbers, so that a test finds a stale one without drawing.
"""

import html
import re
from functools import cache
from importlib.resources import files

from striate.core.errors import ReportError
from striate.core.records import fingerprint
from striate.report import draw, draw_kinds, figures, kinds, svg
from striate.report.svg import Chart
from striate.report.wording import one_line
from striate.studies.results import Results

WIDTH = 460  # pixels: as wide as a table cell of a desk, and still read on a phone
_MARGIN = 10


def charts(results: Results, name: str) -> list[Chart]:
    """The figures that answer the study's question, named after it."""
    if maps := kinds.heat_maps(results):
        return [
            Chart(figure=f"{name}-{word}", size="answer", spec=draw_kinds.heat_map_spec(made, WIDTH), label=made.title)
            for word, made in zip(("accuracy", "time"), maps, strict=False)
        ]
    if scale := kinds.scale_figure(results):
        return [Chart(figure=name, size="answer", spec=draw_kinds.scale_spec(scale, WIDTH), label=scale.title)]
    if made := figures.accuracies(results):
        return [Chart(figure=name, size="answer", spec=draw.accuracies_spec(made, WIDTH), label=made.title)]
    return []


def file_name(chart: Chart) -> str:
    return f"{chart.figure}.svg"


def stamp(chart: Chart) -> str:
    """What a file of this chart says of itself."""
    return f"<!-- chart {fingerprint(chart.spec)} -->"


def files_of(made: list[Chart]) -> dict[str, str]:
    """The text of each chart's file, by its name.

    Raises:
        ReportError: for a chart that cannot be drawn.
    """
    texts = {}
    for chart, drawing in zip(made, svg.render(made), strict=True):
        if not drawing.svg:
            raise ReportError(f"{file_name(chart)}: cannot be drawn: {drawing.failure}")
        texts[file_name(chart)] = _alone(chart, str(drawing.svg))
    return texts


def _alone(chart: Chart, inline: str) -> str:
    """The chart of a page as a file: with its size, its colors for light and dark, and the ground that it is drawn on."""
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', inline)
    assert box
    width, height = (float(side) + 2 * _MARGIN for side in box.groups())
    inner = re.sub(
        r"^<svg[^>]*>",
        f'<svg x="{_MARGIN}" y="{_MARGIN}" width="{box[1]}" height="{box[2]}" viewBox="0 0 {box[1]} {box[2]}">',
        inline,
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}" '
        f'role="img">{stamp(chart)}<title>{html.escape(one_line(chart.label))}</title><style>{_colors()}</style>'
        f'<rect width="{width:g}" height="{height:g}" rx="6" fill="var(--paper)"/>{inner}</svg>\n'
    )


@cache
def _colors() -> str:
    """The colors of the report's style sheet, for light and for dark."""
    css = files("striate.report").joinpath("templates", "report.css").read_text(encoding="utf-8")
    light, dark = (
        " ".join(re.findall(r"--[\w-]+: #[0-9a-f]+;", block))
        for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL)[:2]
    )
    return f":root{{{light}}} @media (prefers-color-scheme: dark){{:root{{{dark}}}}}"
