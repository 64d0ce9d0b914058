"""The figures of a page as files for a paper or a talk: each as SVG, PNG and PDF, and its numbers as CSV.

Each file stands alone: light colors, a white ground, and a key of the arms where names are not in the chart. The titles and
captions are in captions.txt. The same study gives the same bytes, but for PDF, whose objects vl-convert writes in any order.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Protocol

from striate.core.errors import ReportError
from striate.report import draw, numbers, svg
from striate.report.answers import StudyAnswers
from striate.report.classes import ConfusionFigure
from striate.report.contents import Figures, study_figures
from striate.report.curves import CurvesFigure
from striate.report.marks import ArmStyle, arm_style
from striate.report.numbers import Numbers
from striate.report.wording import abbreviated, one_line
from striate.runs import layout
from striate.runs.files import write_atomic, write_text
from striate.studies.results import Results

CAPTIONS = "captions.txt"
MARK = "Figures of Striate"
_GAP, _MARGIN = 14, 6
_LINE, _KEY_WIDTH, _LETTER = 22, 48, 7.4  # pixels: a line of text, a key without its name, a letter in a wide font


class _Figure(Protocol):
    @property
    def title(self) -> str: ...
    @property
    def caption(self) -> str: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class FigureFile:
    """One picture with the numbers in it; charts and matrices as inline SVG with the variables of the style sheet."""

    name: str  # of the files, without suffix
    title: str
    caption: str
    numbers: Numbers
    heading: str = ""  # above the charts, where their axes don't say what is drawn
    picture: str = ""  # the page's name of the charts
    charts: tuple[str, ...] = ()
    arms: tuple[str, ...] = ()  # in the key
    keys: tuple[tuple[str, ArmStyle], ...] = ()
    failure: str = ""


def write(results: Results, folder: Path) -> list[Path]:
    """Write the files of a study's figures into `folder` and return their paths."""
    figures = study_figures(results, StudyAnswers(results))
    return write_figures(figures, [arm.name for arm in results.arms], results.study.name, folder)


def write_figures(figures: Figures, arms: Sequence[str], name: str, folder: Path) -> list[Path]:
    """Write four files for each figure, and their captions. They replace files that this has written and no others.

    Raises:
        ReportError: where a file of that name is somebody else's, a figure cannot be drawn, or vl-convert is not installed.
        RunError: when the disk refuses.
    """
    if not svg.is_available():
        raise ReportError("--figures: charts need the package vl-convert-python; pip install vl-convert-python")
    made = list(figure_files(figures, arms))
    if failure := next((figure.failure for figure in made if figure.failure), ""):
        raise ReportError(f"--figures: a figure cannot be drawn: {failure}; the numbers are in the tables of the page")
    drawn = [figure for figure in made if figure.charts]
    sheets = {figure.name: sheet(figure) for figure in drawn}
    contents: dict[str, bytes] = {f"{figure.name}.csv": figure.numbers.as_csv().encode() for figure in made}
    for figure, converted in zip(drawn, svg.convert(list(sheets.values())), strict=True):
        if converted.failure:
            raise ReportError(
                f"--figures: {figure.name} cannot be converted: {converted.failure}; take its SVG from the page"
            )
        contents[f"{figure.name}.svg"] = sheets[figure.name].encode()
        contents[f"{figure.name}.png"], contents[f"{figure.name}.pdf"] = converted.png, converted.pdf
    _check(folder, list(contents))
    write_text(folder / CAPTIONS, _captions(made, name))
    for file, content in contents.items():
        write_atomic(folder / file, lambda temporary, content=content: temporary.write_bytes(content))  # type: ignore[misc]
    return [folder / file for file in contents]


def figure_files(figures: Figures, arms: Sequence[str]) -> Iterator[FigureFile]:
    """A file for each chart that stands alone on the page: a panel of the curves and a confusion matrix too."""
    pictures = svg.pictures(draw.charts(figures, arms))
    keys = {arm: arm_style(i) for i, arm in enumerate(arms)}
    for made in _without_charts(figures, arms):
        if made.picture:
            drawn = pictures[made.picture]
            charts = tuple(chart for size, chart in drawn.sizes if size != "narrow")  # that is a phone's
            made = replace(made, charts=charts, failure=drawn.failure)
        yield replace(made, keys=tuple((arm, keys[arm]) for arm in made.arms))


def _without_charts(figures: Figures, arms: Sequence[str]) -> Iterator[FigureFile]:
    if made := figures.accuracies:
        yield _file("accuracies", made, numbers.of_accuracies(made))
    if differences := figures.differences:
        yield _file("differences", differences, numbers.of_differences(differences))
    for name, heat in figures.maps.items():
        yield _file(name, heat, numbers.of_map(heat), heading=heat.name)
    if scale := figures.scale:
        yield _file("scale", scale, numbers.of_scale(scale))
    if curves := figures.curves:
        yield from _curves(curves, arms)
    if cost := figures.cost:
        for name in ("cost-seconds", "cost-parameters")[: 1 + cost.is_in_size_too]:
            yield _file(name, cost, numbers.of_cost(cost), arms)
    if classes := figures.classes:
        yield _file("classes", classes, numbers.of_classes(classes), classes.arms)
    if confusion := figures.confusion:
        yield from _confusion(confusion)
    if calibration := figures.calibration:
        of = tuple(curve.arm for curve in calibration.curves)
        yield _file("calibration", calibration, numbers.of_calibration(calibration), of)


def _file(name: str, figure: _Figure, values: Numbers, arms: Sequence[str] = (), heading: str = "") -> FigureFile:
    return FigureFile(
        name=name, title=figure.title, caption=figure.caption, numbers=values, heading=heading, picture=name,
        arms=tuple(arms),
    )  # fmt: skip


def _curves(curves: CurvesFigure, arms: Sequence[str]) -> Iterator[FigureFile]:
    of = () if curves.is_crowded else tuple(arms)
    for i, panel in enumerate(curves.panels, 1):
        yield FigureFile(
            name=f"curves-{layout.slug(panel.name)}", picture=f"curves-{i}", title=panel.title, caption=curves.caption,
            heading=panel.heading, numbers=numbers.of_curves(panel), arms=of,
        )  # fmt: skip


def _confusion(confusion: ConfusionFigure) -> Iterator[FigureFile]:
    """The first file has the counts of all; where there are too many classes for a matrix, it has nothing else."""
    first = _file("confusion", confusion, numbers.of_confusion(confusion))
    names = ("confusion", "confusion-best", "confusion-difference")
    for name, matrix in zip(names, confusion.matrices, strict=False):
        yield replace(first, name=name, title=matrix.title, heading=matrix.title, picture="", charts=(matrix.svg,))
    if not confusion.matrices:
        yield replace(first, picture="")


def sheet(figure: FigureFile) -> str:
    """The charts below the key of the arms, as one SVG without variables."""
    sizes = [_size(chart) for chart in figure.charts]
    width = max(sizes[0][0], min(3, len(sizes)) * (sizes[0][0] + _GAP) - _GAP)
    head, top = _head(figure, width)
    x, y, row, parts = 0.0, top, 0.0, list(head)
    for chart, (wide, high) in zip(figure.charts, sizes, strict=True):
        if x and x + wide > width + 1:
            x, y, row = 0.0, y + row + _GAP, 0.0
        box = f'<svg x="{x + _MARGIN:.1f}" y="{y + _MARGIN:.1f}" width="{wide:g}" height="{high:g}" viewBox="0 0 {wide:g} {high:g}">'
        parts.append(re.sub(r"^<svg[^>]*>", box, chart, count=1))
        x, row = x + wide + _GAP, max(row, high)
    width, height = width + 2 * _MARGIN, y + row + 2 * _MARGIN
    whole = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}">'
        f"<title>{escape(one_line(figure.title))}</title><desc>{escape(one_line(figure.caption))}</desc>"
        f'<rect width="{width:g}" height="{height:g}" fill="white"/>{"".join(parts)}</svg>\n'
    )
    return re.sub(r"<[^>]*>", lambda tag: _plain_colors(tag[0]), whole)


def _head(figure: FigureFile, width: float) -> tuple[list[str], float]:
    """The heading, below it the line, marker and name of each arm in rows, and the height of all."""
    x, y, parts = 0.0, 0.0, []
    if figure.heading:
        y += _LINE
        parts.append(_text(0, 0, figure.heading, 'font-weight="600"'))
    for arm, style in figure.keys:
        name = abbreviated(arm)
        wide = _KEY_WIDTH + _LETTER * len(name)
        if x and x + wide > width:
            x, y = 0.0, y + _LINE
        line = f'fill="none" stroke="{style.color}" stroke-width="2" stroke-dasharray="{" ".join(map(str, style.dash)) or "none"}"'
        marker = f'd="{style.marker}" fill="{style.color}" stroke="white" stroke-width=".25"'
        at = f"translate({x + _MARGIN:.1f},{y + _MARGIN + 8:.1f})"
        parts.append(
            f'<g transform="{at}"><path d="M0,0H34" {line}/><path transform="translate(17,0) scale(4.4)" {marker}/></g>'
        )
        parts.append(_text(x + 41, y, name))
        x += wide + _GAP
    return parts, y + (_LINE if figure.keys else 0) + (4 if parts else 0)


def _text(x: float, y: float, text: str, style: str = "") -> str:
    place = f'x="{x + _MARGIN:.1f}" y="{y + _MARGIN + 12.2:.1f}"'
    return f'<text {place} font-family="system-ui, sans-serif" font-size="12.5" fill="var(--ink)" {style}>{escape(one_line(text))}</text>'


def _size(chart: str) -> tuple[float, float]:
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', chart)
    if box is None:
        raise ReportError("--figures: a chart has no size; report this as an error of Striate")
    return float(box[1]), float(box[2])


def _plain_colors(tag: str) -> str:
    return re.sub(r"var\((--[\w-]+)\)", lambda name: _light_colors()[name[1]], tag)


@cache
def _light_colors() -> dict[str, str]:
    """The variables of the style sheet on a light page, with the ground of paper."""
    style = files("striate.report").joinpath("templates", "report.css").read_text(encoding="utf-8")
    root = style[style.index(":root {") : style.index("}", style.index(":root {"))]
    return {**dict(re.findall(r"(--[\w-]+): ([^;]+);", root)), "--paper": "#ffffff"}


def _captions(made: Sequence[FigureFile], name: str) -> str:
    lines = [f"{MARK}: {one_line(name)}\n"]
    lines += [f"{figure.name}\n{one_line(figure.title)}.\n{one_line(figure.caption)}\n" for figure in made]
    return "\n".join(lines)


def _check(folder: Path, names: Sequence[str]) -> None:
    """Refuse a folder that holds somebody else's file of one of these names."""
    captions = folder / CAPTIONS
    if folder.exists() and not folder.is_dir():
        raise ReportError(f"{folder}: is a file; give a folder for the figures with --figures")
    is_ours = captions.is_file() and captions.read_bytes().startswith(MARK.encode())
    if not is_ours and (taken := next((name for name in (CAPTIONS, *names) if (folder / name).exists()), "")):
        raise ReportError(
            f"{folder / taken}: exists and was not written by --figures, so it was not replaced; give another folder"
        )
