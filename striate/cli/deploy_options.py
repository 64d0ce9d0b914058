"""The options of `striate predict`, with the text of `--help`."""

from typing import Annotated

import typer

Model = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="A run's folder, such as runs/my/plain/seed-0; or an arm's folder, which means all its finished seeds.",
    ),
]
Images = Annotated[
    list[str],
    typer.Argument(
        metavar="IMAGES...",
        help="Files, folders, patterns such as 'photos/**/*.jpg'; - reads an image, or names one a line, from standard input.",
    ),
]
With = Annotated[
    list[str] | None,
    typer.Option(
        "--with",
        metavar="RUN",
        help="Another run or arm, whose probabilities are averaged with those of the first; may be repeated.",
    ),
]
Top = Annotated[int, typer.Option(min=1, metavar="K", help="The K most probable classes of each image.")]
All = Annotated[bool, typer.Option("--all", help="Also the probability of every class.")]
