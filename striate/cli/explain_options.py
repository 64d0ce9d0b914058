"""The options of `striate explain`, with the text of `--help`."""

from pathlib import Path
from typing import Annotated

import typer

from striate.cli.judge_options import path

Folder = Annotated[
    Path,
    typer.Argument(
        parser=path,
        metavar="RUN|STUDY",
        help="A run's folder, such as runs/my/plain/seed-0; or a study's, whose page then shows two of its networks.",
    ),
]
Kinds = Annotated[
    list[str] | None,
    typer.Argument(metavar="KIND", help="What to show: filters, maps, patches, attribution, unit; all by default."),
]
Layers = Annotated[
    list[str] | None,
    typer.Option(
        "--layer",
        metavar="NAME",
        help="A layer, as 'striate summary' names it; may be repeated. First, middle and last by default.",
    ),
]
Units = Annotated[
    list[str] | None,
    typer.Option(
        "--unit", metavar="C[,ROW,COLUMN]", help="A unit: its channel, or its channel and position; may be repeated."
    ),
]
Images = Annotated[
    list[str] | None,
    typer.Option("--image", metavar="N|FILE", help="An image: its index in the split, or a file; may be repeated."),
]
ClassName = Annotated[
    str,
    typer.Option("--class", metavar="NAME", help="Only images of this class; its most excited unit is traced back."),
]
Methods = Annotated[
    list[str] | None,
    typer.Option(
        "--method",
        metavar="NAME",
        help="A method of attribution; may be repeated. All that the network allows by default.",
    ),
]
Split = Annotated[str, typer.Option(help="The images: validation, train or test.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Search patches in so many images of the split only.")]
Source = Annotated[
    str, typer.Option("--data", metavar="SOURCE", help="Where the run's images are now, if they were moved.")
]
Into = Annotated[
    Path | None,
    typer.Option(
        "--out", parser=path, metavar="FOLDER", help="Where to write; the folder explain of the run by default."
    ),
]
