"""The options of `striate predict` and `striate export`, with the text of `--help`."""

from pathlib import Path
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
Format = Annotated[str, typer.Option("--format", metavar="FORMAT", help="The kind of file: onnx or torch.")]
File = Annotated[
    Path | None,
    typer.Option(
        "--out",
        parser=Path,
        metavar="FILE",
        help="The file to write; by default model.onnx or model.pt2 in the run's folder.",
    ),
]
Source = Annotated[
    str, typer.Option("--data", metavar="SOURCE", help="Where the run's images are now, if they were moved.")
]
