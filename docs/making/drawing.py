"""Figures of the answers as SVG files: the charts of a study's report, each readable alone on a light or a dark page.

A file states which chart it is by a fingerprint of its numbers, so that a test finds a stale one without drawing.
"""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from striate.core.errors import ReportError
from striate.core.records import fingerprint
from striate.report import curves, draw, draw_kinds, figures, kinds, svg
from striate.report.marks import ArmStyle, Spec, arm_style
from striate.report.svg import Chart
from striate.report.wording import abbreviated, one_line
from striate.studies.metrics import run_metric
from striate.studies.results import Results

WIDTH = 460  # pixels: as wide as a table cell of a desk, and still read on a phone
FEWEST_EPOCHS = 3  # of curves that are worth a figure
_MARGIN, _LINE, _HEIGHT = 10, 20, 230


@dataclass(frozen=True)
class Figure:
    """A chart and the arms that its key names."""

    name: str  # of its file, without suffix
    title: str
    spec: Spec
    key: tuple[tuple[str, ArmStyle], ...] = ()

    @property
    def file(self) -> str:
        return f"{self.name}.svg"

    @property
    def stamp(self) -> str:
        """What its file says of itself."""
        return f"<!-- chart {fingerprint(self.spec, [name for name, _ in self.key])} -->"


def figures_of(results: Results, name: str) -> list[Figure]:
    """The figures that answer the study's question, named after it."""
    if maps := kinds.heat_maps(results):
        words = zip(("accuracy", "time"), maps, strict=False)
        return [Figure(f"{name}-{word}", made.title, draw_kinds.heat_map_spec(made, WIDTH)) for word, made in words]
    if scale := kinds.scale_figure(results):
        return [Figure(name, scale.title, draw_kinds.scale_spec(scale, WIDTH))]
    made = figures.accuracies(results)
    return [Figure(name, made.title, draw.accuracies_spec(made, WIDTH)), *_losses(results, name)] if made else []


def _losses(results: Results, name: str) -> list[Figure]:
    """The validation loss by epoch, where one plot can show all arms and the question is about learning."""
    made = curves.curves(results)
    if made is None or made.is_crowded or not run_metric(results.study.metric).is_score:
        return []
    panel = next(panel for panel in made.panels if panel.name == "validation loss")
    if max((line.points[-1][0] for arm in panel.arms for line in arm.lines), default=0) < FEWEST_EPOCHS:
        return []
    key = tuple((arm, arm_style(i)) for i, arm in enumerate(made.arms))
    return [Figure(f"{name}-loss", panel.title, draw.panel_spec(panel, WIDTH, _HEIGHT), key)]


def files_of(made: Sequence[Figure]) -> dict[str, str]:
    """The text of each figure's file, by its name.

    Raises:
        ReportError: for a chart that cannot be drawn.
    """
    charts = [Chart(figure=figure.name, size="answer", spec=figure.spec, label=figure.title) for figure in made]
    texts = {}
    for figure, drawing in zip(made, svg.render(charts), strict=True):
        if not drawing.svg:
            raise ReportError(f"{figure.file}: cannot be drawn: {drawing.failure}")
        texts[figure.file] = _alone(figure, str(drawing.svg))
    return texts


def _alone(figure: Figure, inline: str) -> str:
    """The chart of a page as a file: with its size, its key, its colors for light and dark, and the ground that it is drawn on."""
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', inline)
    assert box
    width, top = float(box[1]) + 2 * _MARGIN, _MARGIN + _LINE * len(figure.key)
    height = top + float(box[2]) + _MARGIN
    inner = re.sub(
        r"^<svg[^>]*>",
        f'<svg x="{_MARGIN}" y="{top}" width="{box[1]}" height="{box[2]}" viewBox="0 0 {box[1]} {box[2]}">',
        inline,
    )
    key = "".join(_key(row, *entry) for row, entry in enumerate(figure.key))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}" '
        f'role="img">{figure.stamp}<title>{html.escape(one_line(figure.title))}</title><style>{_colors()}</style>'
        f'<rect width="{width:g}" height="{height:g}" rx="6" fill="var(--paper)"/>{key}{inner}</svg>\n'
    )


def _key(row: int, arm: str, style: ArmStyle) -> str:
    """A line of the key: the line and marker of an arm, and its name."""
    dash = f' stroke-dasharray="{" ".join(map(str, style.dash))}"' if style.dash else ""
    return (
        f'<g transform="translate({_MARGIN},{_MARGIN + _LINE * row + 8})">'
        f'<path d="M0,0H34" fill="none" stroke="{style.color}" stroke-width="2"{dash}/>'
        f'<path transform="translate(17,0) scale(4.4)" d="{style.marker}" fill="{style.color}"/>'
        f'<text x="42" y="4.2" font-family="system-ui, sans-serif" font-size="12.5" fill="var(--ink)">'
        f"{html.escape(one_line(abbreviated(arm)))}</text></g>"
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
