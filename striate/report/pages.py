"""A study's results as one HTML file.

Promises: readable offline and without JavaScript, in light, dark and print; the same results give the same bytes; no
absolute path and no address that a browser would fetch; everything that a study file or a run says is escaped.
"""

import re
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from striate.core.errors import ReportError
from striate.core.records import printable
from striate.nets.summary.columns import legend
from striate.report import draw, inside, kinds, limits, mistakes, sections, seeds, study_facts, svg, trust, twins
from striate.report.answers import StudyAnswers
from striate.report.checks import checks, in_words
from striate.report.contents import NUMBERS, SECTIONS, TITLES, Figures, study_figures
from striate.report.marks import arm_style
from striate.report.metric_words import metric_words
from striate.report.wording import abbreviated, one_line, shortened
from striate.runs import layout
from striate.runs.files import write_text
from striate.studies.metrics import is_of_images
from striate.studies.results import Results

MARK = '<meta name="generator" content="Striate">'
_TEMPLATES = files("striate.report").joinpath("templates")


def build(results: Results) -> str:
    """The page as HTML.

    Raises:
        ReportError: when a file of the page (template, style sheet) is missing.
    """
    answers = StudyAnswers(results)
    figures = study_figures(results, answers)
    with ThreadPoolExecutor(1) as drawing:  # by another process, while everything else is put together here
        pictures = drawing.submit(svg.pictures, draw.charts(figures, [arm.name for arm in results.arms]))
        parts = {**_answers(results, answers, figures), **_background(results)}
    return render(
        over=", size ".join(filter(None, (results.study.name, results.study.size))),
        contents=SECTIONS,
        section_number=NUMBERS,
        section_title=TITLES,
        question=shortened(results.study.question),
        pictures=pictures.result(),
        **parts,
    )


def render(*, folder: str = "", **parts: Any) -> str:
    """The page made of these parts; the templates of its sections are in `folder`."""
    template = _environment().get_template("report.html.j2")
    return template.render(folder=folder, css=Markup(_template("report.css")), can_draw=svg.is_available(), **parts)


def write(results: Results) -> Path:
    """Write the page into the study's folder, whole or not at all, and return its path.

    Raises:
        ReportError: when the page cannot be built, or the study's folder is gone.
        RunError: when the disk refuses.
    """
    if not results.folder.is_dir():
        raise ReportError(
            f"{results.folder}: the study's folder is gone, so the report cannot be written; run the study again"
        )
    path = results.folder / layout.REPORT
    write_text(path, build(results))
    return path


def write_alone(page: str, path: Path) -> None:
    """Write a page that belongs to no study, whole or not at all. It replaces a page of Striate and no other file.

    Raises:
        ReportError: for a file that is not ours, or a folder that is not there.
        RunError: when the disk refuses.
    """
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else "is in a folder that does not exist"
        raise ReportError(f"{path}: {what}; give a file for the page with --report")
    if path.exists() and MARK.encode() not in path.read_bytes()[:4096]:
        raise ReportError(
            f"{path}: exists and is no page of Striate, so it was not replaced; give another file with --report"
        )
    write_text(path, page)


def _answers(results: Results, answers: StudyAnswers, figures: Figures) -> dict[str, Any]:
    made, words = checks(results), metric_words(results)
    styles = {arm.name: arm_style(i) for i, arm in enumerate(results.arms)}
    return {
        **figures.by_name(),
        "number": figures.numbers(),
        "maps": figures.maps,
        "effects_table": kinds.effects_table(results),
        "grid_table": kinds.arms_table(results) if results.study.grid else None,
        "scale_sentence": results.scale.sentence if results.scale else "",
        "pair_styles": [(arm, styles[arm]) for arm in answers.pair],
        "mistakes": mistakes.mistakes(answers),
        "inside": inside.inside(answers),
        "audit": twins.audit_section(results),
        "stability": trust.stability(answers),
        "arm_styles": [(arm.name, arm_style(i)) for i, arm in enumerate(results.arms)],
        "cards": sections.cards(results),
        "trouble": sections.trouble(results),
        "progress": sections.progress(results),
        "notes": sections.notes(results),
        "findings": sections.findings(results),
        "means": sections.means(results),
        "claims": sections.claims(results),
        "differences_table": sections.differences_table(results),
        "metric": words.name,
        "metric_title": words.title,
        "difference_unit": words.difference_unit,
        "image_note": sections.image_note(
            words,
            has_new_images=any(verdict.new_images for verdict in results.verdicts),
            need="needs the answers of every run to each test image (predictions.npz)"
            if is_of_images(words.name)
            else "is computed for accuracies alone",
        ),
        "uncertainty": sections.uncertainty(results),
        "looks": seeds.looks(results),
        "outcomes": seeds.outcomes(results),
        "looks_taken": seeds.looks_taken(results),
        "design": seeds.design(results),
        "seed_notes": seeds.notes(results),
        "checks": made,
        "checks_in_words": in_words(made),
        "runs": sections.all_runs(results),
    }


def _background(results: Results) -> dict[str, Any]:
    local_paths = study_facts.local_paths(results.study.model_dump(mode="json", exclude_defaults=True)).values()
    return {
        "arms_table": study_facts.arms_table(results),
        "facts": (*study_facts.data_facts(results), *study_facts.design_facts(results)),
        "layer_tables": study_facts.layer_tables(results),
        "columns": legend(),
        "unplanned": sections.unplanned(results),
        "study_yaml": escape(printable(study_facts.study_yaml(results.study))),
        "local_paths": local_paths,
        "digests": sorted({row.data.digest[:12] for row in results.rows if row.data and row.data.digest}),
        "environments": study_facts.environments(results),
        "glossary": limits.glossary(results),
        "limits": limits.limits(results),
    }


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["abbreviated"] = abbreviated
    return environment


def _finalize(item: Any) -> Any:
    """Text in one safe line, with a number and its unit on one line. Markup stays as it is, the study file among it."""
    if not isinstance(item, str) or isinstance(item, Markup):
        return item
    return re.sub(r"(?<=\d) (?=%)|(?<=epoch) (?=\d)", "\N{NO-BREAK SPACE}", one_line(item))


def _template(name: str) -> str:
    try:
        return _TEMPLATES.joinpath(name).read_text(encoding="utf-8")
    except OSError as error:
        raise ReportError(
            f"{name}: the report's template cannot be read ({error.strerror}); install Striate again"
        ) from error
