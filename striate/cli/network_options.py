"""The options of commands that take a network, and those of `striate bench`, with the text of `--help`."""

from pathlib import Path
from typing import Annotated

import typer

from striate.cli.judge_options import path

NetworkWord = Annotated[
    str, typer.Argument(metavar="NETWORK", help="A network in the notation, the name of one, or KEY=VALUE.")
]
NetworkKeys = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="Other keys of a network in a study file, such as norm=batch."),
]
ImageShape = Annotated[
    str | None,
    typer.Option(
        metavar="CxHxW", help="Shape of the images: channels x height x width, 3x32x32 unless the network has its own."
    ),
]
Classes = Annotated[int | None, typer.Option(min=2, help="Number of classes; 10 unless the network has its own.")]
Network = Annotated[
    str,
    typer.Argument(
        metavar="NETWORK|RUN", help="A network in the notation, the name of one, or the folder of a finished run."
    ),
]
Batches = Annotated[
    str, typer.Option(metavar="N,N,...", help="The batch sizes; by default 1,4,16,64,256, as far as they fit.")
]
Seconds = Annotated[
    float, typer.Option(min=0.01, max=600, help="How long each row is timed, about; three calls at least.")
]
Figure = Annotated[
    Path | None,
    typer.Option(parser=path, metavar="FILE", help="Also draw the speeds into this .svg, .png or .pdf file."),
]
