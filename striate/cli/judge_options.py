"""The options of `striate judge`, some of them also of `striate report`, with the text of `--help`."""

from pathlib import Path
from typing import Annotated

import typer


def path(text: str | Path) -> Path:  # the default is a Path already
    if not str(text).strip():
        raise typer.BadParameter("must not be empty")
    return Path(text)


Table = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="A CSV, parquet or JSON file with a row for each run, or a folder of MLflow, TensorBoard or files.",
    ),
]
Arm = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN", help="The column that names the arm; may be repeated, for arms of several settings."
    ),
]
Seed = Annotated[str, typer.Option(metavar="COLUMN", help="The column of the seed, which pairs the runs of two arms.")]
MetricColumn = Annotated[str, typer.Option("--metric", metavar="COLUMN", help="The column to judge.")]
RunNames = Annotated[
    str,
    typer.Option("--run", metavar="COLUMN", help="The column of run names that hold arm and seed, as in plain-seed3."),
]
TestImages = Annotated[
    str,
    typer.Option(
        metavar="COLUMN|PATTERN",
        help="The column that names the test image of a row, or a pattern of the 0/1 columns that are one each, as 'image_*'.",
    ),
]
Step = Annotated[str, typer.Option(metavar="COLUMN", help="The column of epochs or steps, where runs have many rows.")]
At = Annotated[str, typer.Option(help="Which of a run's rows counts: last, max or min of the metric, or a step.")]
Compare = Annotated[
    list[str] | None,
    typer.Option(metavar="'A - B'", help="A comparison; may be repeated. Each arm against the baseline by default."),
]
Baseline = Annotated[
    str,
    typer.Option(
        metavar="ARM",
        help="The arm to compare with; by default one called baseline, control, plain or the like, else the first.",
    ),
]
Matters = Annotated[
    float | None,
    typer.Option(
        metavar="NUMBER",
        help="The smallest difference of interest: points (0.5), percent of a time (5), or in the metric's unit.",
    ),
]
Better = Annotated[str, typer.Option(help="Whether higher or lower is better, if the metric's name does not say it.")]
Kind = Annotated[
    str, typer.Option("--as", help="How to read the metric: percent, share (0 to 1), plain, or ratio (times).")
]
Unit = Annotated[str, typer.Option(help="The metric's unit, for the sentences.")]
TestImageCount = Annotated[
    int, typer.Option("--test-images", min=0, help="How many test images an accuracy was measured on.")
]
Comparisons = Annotated[
    int, typer.Option(min=0, help="How many comparisons were planned, if more than are judged here.")
]
Grown = Annotated[
    bool, typer.Option("--grown", help="Seeds were added after looking at results: judge by a rule that allows it.")
]
Empty = Annotated[str, typer.Option(help="What a run without a value is: missing or diverged.")]
Report = Annotated[
    Path | None,
    typer.Option(parser=path, metavar="FILE.html", help="Where to write the page; NAME-verdicts.html by default."),
]
Figures = Annotated[
    Path | None,
    typer.Option(
        parser=path,
        metavar="FOLDER",
        help="Also write each figure there, as SVG, PNG and PDF, and its numbers as CSV.",
    ),
]
Latex = Annotated[
    Path | None,
    typer.Option(parser=path, metavar="FILE.tex", help="Also write the results and differences as LaTeX tables."),
]
