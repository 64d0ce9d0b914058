"""The table of commands: what can be said on the command line, and who does it."""

from pathlib import Path
from typing import Annotated

import typer

from striate import __version__

app = typer.Typer(
    name="striate",
    help="A laboratory for convolutional image classifiers: ask a question in a study file, train every arm on "
    "several seeds, get the answer that the data supports.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="A study file, or the name of a built-in study.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY.SUB=VALUE]...", help="Values that replace those of the study.")
]
Seeds = Annotated[int | None, typer.Option(help="How many seeds each arm gets (0, 1, ...).")]
Out = Annotated[Path, typer.Option(help="Where the folder of the study is kept.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Jobs = Annotated[str, typer.Option(help="Runs at once: auto or a number.")]
NetworkWord = Annotated[
    str, typer.Argument(metavar="NETWORK", help="A network in the notation, or the name of one, or KEY=VALUE.")
]
Beside = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="What a study file could say beside it, such as norm=batch."),
]
ImageShape = Annotated[
    str | None, typer.Option(metavar="CxHxW", help="The images, such as 3x32x32 (which is also the default).")
]
Classes = Annotated[int | None, typer.Option(min=2, help="How many classes; 10 if the network has no number.")]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
Explain = Annotated[bool, typer.Option("--explain", help="Also print what each column means.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"striate {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version


@app.command()
def run(
    study: StudyName,
    overrides: Overrides = None,
    seeds: Seeds = None,
    out: Out = Path("runs"),
    device: Device = "auto",
    jobs: Jobs = "auto",
    json: Json = False,
) -> int:
    """Train what is missing of a study, answer its question and write the report."""
    from striate.cli import run

    return run.run(study, overrides or [], seeds, out, device, jobs, json)


@app.command()
def check(
    study: StudyName,
    overrides: Overrides = None,
    seeds: Seeds = None,
    out: Out = Path("runs"),
    device: Device = "auto",
    jobs: Jobs = "auto",
    json: Json = False,
) -> None:
    """Show what 'run' would do, and about what it would cost; train nothing."""
    from striate.cli import check

    check.check(study, overrides or [], seeds, out, device, jobs, json)


@app.command()
def status(
    folder: Annotated[Path, typer.Argument(help="A study's folder, or one that holds several.")] = Path("runs"),
    json: Json = False,
) -> None:
    """Show how far each study is, and its verdicts."""
    from striate.cli import status as look

    look.status(folder, json)


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="The folder of a study.")]) -> None:
    """Write a study's report.html anew from its files."""
    from striate.cli import status as look

    look.report(folder)


@app.command()
def studies(json: Json = False) -> None:
    """List the built-in studies and their questions."""
    from striate.cli import status as look

    look.studies(json)


@app.command()
def init(file: Annotated[Path, typer.Argument(help="The study file to write, such as my-study.yaml.")]) -> None:
    """Write a commented study file to start from."""
    from striate.cli import status as look

    look.init(file)


@app.command()
def summary(
    network: NetworkWord,
    overrides: Beside = None,
    input: ImageShape = None,  # noqa: A002
    classes: Classes = None,
    json: Json = False,
    explain: Explain = False,
) -> None:
    """Show the layers of a network: shapes, parameters, multiply-adds, receptive fields."""
    from striate.cli import network as nets

    nets.summary([network, *(overrides or [])], input, classes, json, explain)


@app.command()
def networks(json: Json = False, explain: Explain = False) -> None:
    """List the named networks with their parameters and multiply-adds."""
    from striate.cli import network as nets

    nets.networks(json, explain)


@app.command()
def recipes(json: Json = False) -> None:
    """List the named recipes: what each says, where it is from, what it reached."""
    from striate.cli import recipes as named

    named.recipes(json)


@app.command()
def engines(
    network: NetworkWord,
    overrides: Beside = None,
    input: ImageShape = None,  # noqa: A002
    classes: Classes = None,
    json: Json = False,
) -> None:
    """Compare the engine from scratch with torch, layer by layer: results, gradients, times. 2D networks only."""
    from striate.cli import engines as compared

    compared.engines([network, *(overrides or [])], input, classes, json)
