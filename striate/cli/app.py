"""The commands and their options, with the text of `--help`."""

from pathlib import Path
from typing import Annotated

import typer

from striate import __version__
from striate.cli import deploy_options as deploy
from striate.cli import explain_options as explaining
from striate.cli import judge_options as options
from striate.cli import run_options as of_run
from striate.cli.deploy_options import Classes, ImageShape, NetworkKeys, NetworkWord
from striate.cli.judge_options import path as _path
from striate.core.errors import StudyError

DEVICES = ("auto", "cpu", "cuda", "mps")

app = typer.Typer(
    name="striate",
    help="A laboratory for convolutional image classifiers. Write a question into a study file; Striate trains every "
    "variant on several seeds and gives the answer that the data supports.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _device(text: str) -> str:
    if text not in DEVICES:
        raise StudyError(f"--device: must be one of {', '.join(DEVICES)}, got '{text:.40}'")
    return text


def _seeds(number: int | None) -> int | None:
    from striate.studies.seed_plan import MOST_SEEDS

    if number is not None and not 1 <= number <= MOST_SEEDS:
        raise StudyError(f"--seeds: must be a number from 1 to {MOST_SEEDS}, got {number}")
    return number


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"striate {__version__}")
        raise typer.Exit


StudyName = Annotated[
    str,
    typer.Argument(
        metavar="STUDY", help="A study file, a study's folder, or the name of a built-in study; 'run all' runs each."
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY.SUB=VALUE", help="Values to replace in the study, such as recipe.epochs=5."),
]
Seeds = Annotated[int | None, typer.Option(callback=_seeds, help="Seeds of each arm: 3 means the seeds 0, 1 and 2.")]
Size = Annotated[
    str, typer.Option(metavar="NAME", help="One of the study's sizes; built-in studies have small, report and full.")
]
Out = Annotated[
    Path,
    typer.Option(parser=_path, metavar="FOLDER", help="Where results are kept; each study gets a folder in it."),
]
Device = Annotated[str, typer.Option(callback=_device, help="Where to train: auto, cpu, cuda or mps.")]
Jobs = Annotated[str, typer.Option(help="Runs to train at the same time: auto, or a number.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Explain = Annotated[bool, typer.Option("--explain", help="Also print what each column means.")]


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version


@app.command()
def run(
    study: StudyName,
    overrides: Overrides = None,
    seeds: Seeds = None,
    size: Size = "",
    out: Out = Path("runs"),
    device: Device = "auto",
    jobs: Jobs = "auto",
    on: of_run.On = "here",
    cpus_per_run: of_run.CpusPerRun = None,
    gpus_per_run: of_run.GpusPerRun = None,
    storage: of_run.Storage = None,
    json: Json = False,
) -> int:
    """Train the missing runs of a study, print the verdicts and write the report."""
    from striate.cli import run

    where = of_run.Place(on, cpus_per_run, gpus_per_run, storage)
    changes = run.Changes(tuple(overrides or ()), seeds, size)
    if run.is_all(study):
        from striate.cli import run_all

        return run_all.run_all(changes, out, device, jobs, where, json)
    return run.run(study, changes, out, device, jobs, where, json)


@app.command()
def check(
    study: StudyName,
    overrides: Overrides = None,
    seeds: Seeds = None,
    size: Size = "",
    out: Out = Path("runs"),
    device: Device = "auto",
    jobs: Jobs = "auto",
    on: of_run.On = "here",
    cpus_per_run: of_run.CpusPerRun = None,
    gpus_per_run: of_run.GpusPerRun = None,
    storage: of_run.Storage = None,
    layers: of_run.Layers = False,
    explain: of_run.Explain = False,
    yaml: of_run.Yaml = False,
    time: of_run.Time = True,
    json: Json = False,
) -> None:
    """Print what 'run' would do: runs, precision and what decides it, disk space, duration. Trains nothing."""
    from striate.cli import check
    from striate.studies.loaded import load

    loaded = load(study, *(overrides or []), seeds=seeds, size=size, out=out)
    if yaml:
        check.print_study(loaded)
    else:
        where = of_run.Place(on, cpus_per_run, gpus_per_run, storage)
        check.check(
            loaded, device, jobs, where, check.CheckOptions(layers=layers, explain=explain, time=time, json=json)
        )


@app.command()
def status(
    folder: Annotated[
        Path, typer.Argument(parser=_path, metavar="FOLDER", help="A study's folder, or a folder of several.")
    ] = Path("runs"),
    json: Json = False,
) -> None:
    """Print the progress and verdicts of each study."""
    from striate.cli import studies

    studies.status(folder, json)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(parser=_path, metavar="FOLDER", help="A study's folder.")],
    figures: options.Figures = None,
    latex: options.Latex = None,
) -> None:
    """Rebuild a study's report.html; on request also write its figures and tables as files."""
    from striate.cli import studies

    studies.report(folder, figures, latex)


@app.command()
def judge(
    path: options.Table,
    arm: options.Arm = None,
    seed: options.Seed = "",
    metric: options.MetricColumn = "",
    run: options.RunNames = "",
    images: options.TestImages = "",
    step: options.Step = "",
    at: options.At = "last",
    compare: options.Compare = None,
    baseline: options.Baseline = "",
    matters: options.Matters = None,
    better: options.Better = "",
    kind: options.Kind = "",
    unit: options.Unit = "",
    test_images: options.TestImageCount = 0,
    comparisons: options.Comparisons = 0,
    grown: options.Grown = False,
    empty: options.Empty = "missing",
    report: options.Report = None,
    figures: options.Figures = None,
    latex: options.Latex = None,
    json: Json = False,
) -> None:
    """Give verdicts on numbers from anywhere: a table of runs by arm and seed."""
    from striate.cli import judge
    from striate.tables import Choices
    from striate.tables.judge import Question

    choices = Choices(arm=tuple(arm or ()), seed=seed, metric=metric, images=images, step=step, run=run)
    question = Question(
        compare=tuple(compare or ()), baseline=baseline, matters=matters, kind=kind, better=better, unit=unit, at=at,
        test_images=test_images, comparisons=comparisons, grown=grown, empty=empty,
    )  # fmt: skip
    files = judge.Files(report=report, figures=figures, latex=latex)
    judge.command(Path(path), choices, question, files, json)


@app.command()
def audit(
    source: deploy.Audited,
    near: deploy.Near = True,
    report: deploy.AuditPage = None,
    out: Out = Path("runs"),
    json: Json = False,
) -> None:
    """Look for what is wrong with a dataset: copies, near duplicates, broken and odd images."""
    from striate.cli import audit

    audit.command(source, near, report, out, json)


@app.command()
def studies(json: Json = False) -> None:
    """List the built-in studies and their questions."""
    from striate.cli import studies

    studies.studies(json)


@app.command()
def init(
    file: Annotated[
        Path,
        typer.Argument(parser=_path, metavar="FILE", help="The study file to write, such as my-study.yaml."),
    ],
) -> None:
    """Write a commented study file to start from."""
    from striate.cli import studies

    studies.init(file)


@app.command()
def summary(
    network: NetworkWord,
    overrides: NetworkKeys = None,
    input: ImageShape = None,  # noqa: A002
    classes: Classes = None,
    json: Json = False,
    explain: Explain = False,
) -> None:
    """Print the layers of a network: shapes, parameters, multiply-adds, receptive fields."""
    from striate.cli import network as networks

    networks.summary([network, *(overrides or [])], input, classes, json, explain)


@app.command()
def networks(json: Json = False, explain: Explain = False) -> None:
    """List the named networks with their parameters and multiply-adds."""
    from striate.cli import network as networks

    networks.networks(json, explain)


@app.command()
def recipes(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Print this recipe with all its settings.")] = None,
    json: Json = False,
) -> None:
    """List the named recipes, or print one: settings, source, measured accuracy."""
    from striate.cli import recipes

    recipes.recipes(name, json)


@app.command()
def engines(
    network: NetworkWord,
    overrides: NetworkKeys = None,
    input: ImageShape = None,  # noqa: A002
    classes: Classes = None,
    json: Json = False,
) -> None:
    """Compare the NumPy engine with torch, layer by layer: outputs, gradients, times. 2D networks only."""
    from striate.cli import engines

    engines.engines([network, *(overrides or [])], input, classes, json)


@app.command()
def explain(
    folder: explaining.Folder,
    kinds: explaining.Kinds = None,
    layers: explaining.Layers = None,
    units: explaining.Units = None,
    images: explaining.Images = None,
    class_name: explaining.ClassName = "",
    methods: explaining.Methods = None,
    split: explaining.Split = "validation",
    limit: explaining.Limit = None,
    data: explaining.Source = "",
    out: explaining.Into = None,
    device: Annotated[str, typer.Option(callback=_device, help="Where to compute: auto, cpu, cuda or mps.")] = "auto",
    json: Json = False,
) -> int:
    """Look inside a trained network: filters, maps, exciting patches, attribution, a unit's arithmetic."""
    from striate.cli import explain

    request = explain.request_of(layers or [], units or [], images or [], class_name, methods or [], limit)
    return explain.explain(folder, kinds or [], request, split, data, device, out, json)


@app.command()
def probe(
    network: Annotated[
        str,
        typer.Argument(metavar="NETWORK|RUN", help="A network in the notation, the name of one, or a run's folder."),
    ],
    overrides: NetworkKeys = None,
    input: ImageShape = None,  # noqa: A002
    classes: Classes = None,
    layer: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this layer, with its impulse response; may be repeated."),
    ] = None,
    json: Json = False,
) -> None:
    """Measure which layers are linear and which shift-equivariant, with the residuals in float64."""
    from striate.cli import probe

    probe.command([network, *(overrides or [])], input, classes, layer or [], json)


@app.command()
def train(
    source: deploy.Folder,
    minutes: deploy.Minutes = 15.0,
    name: deploy.Name = "",
    network: deploy.Backbone = "",
    weights: deploy.Weights = "",
    out: Out = Path("runs"),
    device: Device = "auto",
    json: Json = False,
) -> int:
    """Make a classifier from a folder of images, with its evidence: study file, report, model and model card."""
    from striate.cli import train

    return train.command(train.request_of(source, minutes, name, out, network, weights, device), json)


@app.command()
def predict(
    model: deploy.Model,
    images: deploy.Images,
    ensemble: deploy.With = None,
    top: deploy.Top = 1,
    every: deploy.All = False,
    device: Device = "auto",
    json: Json = False,
) -> int:
    """Classify images with a trained network, or with several as an ensemble: a row for each image."""
    from striate.cli import deploy as commands

    return commands.predict([model, *(ensemble or [])], images, device, commands.Columns(top, every), json)


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(parser=_path, metavar="RUN", help="A finished run's folder.")],
    kind: deploy.Format = "onnx",
    file: deploy.File = None,
    data: deploy.Source = "",
    json: Json = False,
) -> None:
    """Write a run's network as a file for other programs, and keep it only if it agrees on the whole test part."""
    from striate.cli import deploy as commands

    commands.export(folder, kind, file, data, json)


@app.command()
def bench(
    network: deploy.Network,
    overrides: NetworkKeys = None,
    input: ImageShape = None,  # noqa: A002
    classes: Classes = None,
    device: Device = "auto",
    batches: deploy.Batches = "",
    seconds: deploy.Seconds = 1.0,
    figure: deploy.Figure = None,
    json: Json = False,
) -> None:
    """Time a network at inference: images a second and latency, eager, tuned, compiled and in ONNX Runtime."""
    from striate.cli import bench

    bench.command([network, *(overrides or [])], input, classes, device, batches, seconds, figure, json)
