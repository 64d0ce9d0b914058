"""A study's results as one HTML file.

Promises: readable offline and without JavaScript, in light, dark and print; the same results give the same bytes; no
absolute path and no address that a browser would fetch; everything that a study file or a run says is escaped.
"""

import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from striate.nets.summary.columns import legend
from striate.report import curves, draw, figures, layers, limits, sections, svg
from striate.report import marks as styles
from striate.report import study_facts as setting
from striate.report.wording import shortened
from striate.runs import layout
from striate.runs.files import write_text
from striate.studies.results import Results

SECTIONS = (
    ("answer", "Answer"),
    ("compared", "What was compared"),
    ("differences", "Differences"),
    ("curves", "Curves"),
    ("runs", "All runs"),
    ("reproduce", "Reproduce"),
    ("words", "Words and limits"),
)


def build(results: Results) -> str:
    """The page."""
    return _environment().get_template("report.html.j2").render(
        study=results.study,
        results=results,
        contents=SECTIONS,
        css=Markup(_template("report.css")),
        can_draw=svg.is_available(),
        question=shortened(results.study.question),
        **_answers(results),
        **_background(results),
    )  # fmt: skip


def write(results: Results) -> Path:
    """The page in the study's folder, whole or not at all."""
    path = results.folder / layout.REPORT
    write_text(path, build(results))
    return path


def _answers(results: Results) -> dict[str, Any]:
    accuracies, differences, course = figures.accuracies(results), figures.differences(results), curves.curves(results)
    drawn = {"accuracies": accuracies, "differences": differences, "curves": course}
    return {
        "number": {name: n for n, name in enumerate((name for name, figure in drawn.items() if figure), 1)},
        "cards": sections.cards(results),
        "trouble": sections.trouble(results),
        "progress": sections.progress(results),
        "means": () if results.study.comparisons else sections.means(results),
        "claims": sections.claims(results),
        "accuracies": accuracies,
        "accuracies_drawn": _both(draw.accuracies_spec, accuracies, "accuracies"),
        "differences": differences,
        "differences_drawn": _both(draw.differences_spec, differences, "differences"),
        "differences_table": sections.differences_table(results),
        "curves": course,
        "curves_drawn": _panels(course),
        "keys": [(name, styles.style(i)) for i, name in enumerate(course.arms)] if course else [],
        "runs": sections.all_runs(results),
    }


def _background(results: Results) -> dict[str, Any]:
    return {
        "arms_table": setting.arms_table(results),
        "facts": (*setting.data_facts(results), *setting.design_facts(results)),
        "layer_tables": layers.layer_tables(results),
        "columns": legend(),
        "noticed": sections.noticed(results),
        "study_yaml": escape(setting.study_yaml(results.study)),
        "environments": setting.environments(results),
        "glossary": limits.glossary(results),
        "limits": limits.limits(results),
    }


def _both(spec: Callable[..., draw.Spec], figure: Any, name: str) -> tuple[tuple[str, Markup], ...]:
    """A drawing for wide and one for narrow pages, of which the style sheet shows one."""
    if figure is None or not svg.is_available():
        return ()
    sizes = (("wide", draw.WIDE), ("narrow", draw.NARROW))
    return tuple((size, svg.render(spec(figure, width), f"{name}-{size}", figure.title)) for size, width in sizes)


def _panels(figure: curves.CurvesFigure | None) -> tuple[tuple[tuple[str, Markup], ...], ...]:
    """The drawings of each panel: one small one, or where many arms cross a large one for wide pages and a small one."""
    if figure is None or not svg.is_available():
        return ()
    small = ("narrow" if figure.is_crowded else "small", draw.PANEL, 215)
    sizes = [("wide", draw.WIDE, 330), small] if figure.is_crowded else [small]
    return tuple(
        tuple(
            (size, svg.render(draw.panel_spec(panel, w, h), f"curves-{i}-{size}", panel.title)) for size, w, h in sizes
        )
        for i, panel in enumerate(figure.panels, 1)
    )


@cache
def _environment() -> Environment:
    return Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_together,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _together(said: Any) -> Any:
    """A number and its unit on one line. Markup stays as it is: a study file must be copied as it was."""
    if not isinstance(said, str) or isinstance(said, Markup):
        return said
    return re.sub(r"(?<=\d) (?=%)|(?<=epoch) (?=\d)", "\N{NO-BREAK SPACE}", said)


def _template(name: str) -> str:
    return files("striate.report").joinpath("templates", name).read_text(encoding="utf-8")
