"""The page of numbers that were not made by a study: the same verdicts, figures and words, from `striate judge`."""

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

from striate.report import draw, figure_files, latex, pages, sections, seeds, svg
from striate.report.contents import Figures
from striate.report.figures import ArmAccuracy, Point, arm_values, differences_figure, values_figure
from striate.report.limits import Terms, comparison_terms
from striate.report.metric_words import MetricWords, words_for
from striate.report.wording import Table, count, listed, pair, shortened, whole
from striate.tables import Judged
from striate.verdicts import ArmResults
from striate.verdicts.intervals import accuracy_margin

SECTIONS = (
    ("answer", "Answer"),
    ("compared", "Source and columns"),
    ("differences", "Differences"),
    ("looks", "Seeds"),
    ("reproduce", "Reproduce"),
    ("limits", "Limits and glossary"),
)


def build(judged: Judged) -> str:
    """The page as HTML.

    Raises:
        ReportError: when a file of the page (template, style sheet) is missing.
    """
    words, arms, shown = words_of(judged), _arms(judged), figures_of(judged)
    return pages.render(
        folder="judged/",
        over=PurePath(judged.place).name,
        contents=SECTIONS,
        section_number={name: number for number, (name, _) in enumerate(SECTIONS, 1)},
        section_title=dict(SECTIONS),
        question=f"{words.title} of {_arms_in_words(judged)}",
        number=shown.numbers(),
        pictures=svg.pictures(draw.charts(shown, [arm.arm for arm in arms])),
        metric=words.name,
        accuracies=shown.accuracies,
        differences=shown.differences,
        **_parts(judged, arms, words),
    )


def write(judged: Judged, path: Path | str) -> None:
    """Write the page, whole or not at all. It replaces a page of Striate and no other file.

    Raises:
        ReportError: for a file that is not ours, or a folder that is not there.
        RunError: when the disk refuses.
    """
    pages.write_alone(build(judged), Path(path))


def figures_of(judged: Judged) -> Figures:
    words, arms = words_of(judged), _arms(judged)
    return Figures(
        accuracies=values_figure(arms, judged.seeds, words) if any(arm.points for arm in arms) else None,
        differences=differences_figure(judged.verdicts, judged.design.matters, judged.seeds, words),
    )


def write_figures(judged: Judged, folder: Path) -> list[Path]:
    """The figures of the page as files, as `figure_files` writes them."""
    return figure_files.write_figures(
        figures_of(judged), [arm.arm for arm in judged.arms], PurePath(judged.place).name, folder
    )


def write_tables(judged: Judged, path: Path) -> None:
    """The values and differences as LaTeX tables."""
    name = PurePath(judged.place).name
    latex.write_tables(latex.tables(_arms(judged), judged.verdicts, words_of(judged), name), path)


def _arms(judged: Judged) -> tuple[ArmAccuracy, ...]:
    return tuple(arm_of(arm, words_of(judged)) for arm in judged.arms)


def words_of(judged: Judged) -> MetricWords:
    return words_for(judged.design.metric, judged.design.matters)


def _parts(judged: Judged, arms: Sequence[ArmAccuracy], words: MetricWords) -> dict[str, Any]:
    new_images = any(verdict.new_images for verdict in judged.verdicts)
    matters = words.size(judged.design.matters, f"{judged.design.matters:g}")
    return {
        "progress": _progress(judged),
        "notes": tuple(map(shortened, judged.notes)),
        "cards": sections.cards_of(judged.verdicts),
        "facts": _facts(judged, words, matters),
        "differences_table": sections.differences_of(judged.verdicts, words.digits, has_new_images=new_images),
        "image_note": sections.image_note(
            words, has_new_images=new_images, need="needs a value for each test image, which the table lacks"
        ),
        "uncertainty": sections.uncertainty_of(judged.verdicts),
        "difference_unit": words.difference_unit,
        "looks": seeds.looks_of(judged.verdicts),
        "outcomes": _outcomes(judged),
        "command": judged.command,
        "limits": _limits(judged, arms, words),
        "glossary": (*_terms(words), *comparison_terms(matters, "said when the numbers were judged", words.metric)),
    }


def arm_of(arm: ArmResults, words: MetricWords) -> ArmAccuracy:
    """The values of an arm as a figure has them."""
    points = tuple(Point(seed=seed, value=value) for seed, value in sorted(arm.values.items()))
    return arm_values(arm.arm, points, arm.test_images, words)


def _arms_in_words(judged: Judged) -> str:
    names = [arm.arm for arm in judged.arms]
    return listed(names) if len(names) < 5 and sum(map(len, names)) < 60 else count(len(names), "arm")


def _progress(judged: Judged) -> str:
    values = sum(len(arm.values) for arm in judged.arms)
    size = f"{count(len(judged.arms), 'arm')}, {count(len(judged.seeds), 'seed')}"
    return f"{whole(values)} runs with a result: {size}. Read from {PurePath(judged.place).name} ({judged.origin})."


def _facts(judged: Judged, words: MetricWords, matters: str) -> Terms:
    roles = tuple((role.capitalize(), text) for role, text in judged.mapping)
    compared = [pair(verdict.first, verdict.second) for verdict in judged.verdicts]
    more = judged.design.comparisons - len(compared)
    others = f" {count(more, 'other comparison')} planned and not in this table." if more else ""
    shown = listed(compared) if len(compared) <= 20 else f"{len(compared)} comparisons"
    images = sorted({arm.test_images for arm in judged.arms if arm.test_images})
    return (
        *roles,
        ("Smallest difference that matters", f"{matters} of {words.name}."),
        ("Comparisons", f"{shown}.{others}"),
        *((("Test images", f"{listed(map(whole, images))}."),) if images else ()),
    )  # fmt: skip


def _outcomes(judged: Judged) -> Table:
    rows = tuple(
        (
            arm.arm,
            str(len(arm.values)),
            str(len(arm.failures)),
            str(len(judged.seeds) - len(arm.values) - len(arm.failures)),
        )
        for arm in judged.arms
    )
    return Table(head=("arm", "with a result", "diverged", "missing"), rows=rows)


def _limits(judged: Judged, arms: Sequence[ArmAccuracy], words: MetricWords) -> tuple[str, ...]:
    rule = (
        "Seeds were added after looking at results, so the intervals are those that hold at every number of seeds."
        if judged.is_grown
        else "The number of seeds is taken to be planned. If seeds were added until a result looked good, the intervals are too narrow; "
        "the option 'grown' judges such numbers."
    )
    lines = [
        "The runs were made by another program. Whether they differ in what the arms' names say, and in nothing else, is not known here.",
        rule,
        f"The intervals hold together for {count(judged.design.comparisons, 'comparison')}. If more were looked at, or other metrics, "
        "they do not; the option 'comparisons' says how many were planned.",
        f"Confidence intervals from few seeds are wide, and they assume that differences of {words.name} follow a normal distribution.",
    ]
    if words.metric.on_test_images:
        lines.append(
            f"If an epoch or a setting was chosen by the test images themselves, every {words.name} is too good, and of the arm with more "
            "choices most."
        )
    images = {arm.test_images for arm in judged.arms if arm.test_images}
    means = sorted(arm.mean for arm in arms if arm.mean is not None)
    if images and means and words.metric.scale == "percent":
        typical = means[len(means) // 2]
        margin = words.size(accuracy_margin(typical, min(images)))
        lines.append(
            f"With {whole(min(images))} test images, a single value near {words.value(typical)} has a margin of error of "
            f"\N{PLUS-MINUS SIGN}{margin}, however many seeds there are."
        )
    return tuple(lines)


def _terms(words: MetricWords) -> Terms:
    return (
        ("arm", "One variant that was trained: its data, network and settings."),
        ("seed", "The number that fixes what is random in a run. Runs of two arms with one seed are a pair."),
        ("standard deviation", "The typical distance of a single run from the mean of its arm."),
        (
            "95 % confidence interval",
            "A range around the mean. In 95 of 100 such tables it contains the mean over all possible seeds.",
        ),
        (
            "diverged",
            f"A run whose {words.name} is not a finite number. It counts as one that did not train, and not in the mean.",
        ),
    )
