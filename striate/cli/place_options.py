"""The options that say which machines train, with the text of `--help`."""

from typing import Annotated

import typer

On = Annotated[
    str,
    typer.Option(
        metavar="PLACE",
        help="Which machines train: here (this one), ray (the Ray cluster of RAY_ADDRESS, else a Ray of this machine) or ray://HOST:PORT.",
    ),
]
CpusPerRun = Annotated[
    float | None, typer.Option(help="With --on ray: CPUs of each run, which has as many threads; 1 unless given.")
]
GpusPerRun = Annotated[
    float | None,
    typer.Option(help="With --on ray: GPUs of each run, 0.5 for two runs on one; 1 unless given, where there are any."),
]
Storage = Annotated[
    str | None,
    typer.Option(
        help="With --on ray: shared (all nodes see --out), copied (results travel through Ray), or auto, which finds out."
    ),
]
