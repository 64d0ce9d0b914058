"""The options of commands on images and on networks (audit, train, predict, export, bench, summary), with the text of `--help`."""

from pathlib import Path
from typing import Annotated

import typer

from striate.cli.explain_options import Source
from striate.cli.judge_options import path

Folder = Annotated[
    str,
    typer.Argument(
        metavar="FOLDER", help="A folder of images with a folder for each class; or another source, as data: takes."
    ),
]
Minutes = Annotated[float, typer.Option(metavar="NUMBER", help="The time for everything, report and model included.")]
Name = Annotated[
    str, typer.Option(metavar="NAME", help="The name of the study and its folder; the images' folder by default.")
]
Backbone = Annotated[
    str,
    typer.Option(
        "--network",
        metavar="NAME",
        help="The pretrained network: one of torchvision, or import:MODULE:FACTORY. By default resnet18, or a faster one.",
    ),
]
Weights = Annotated[
    str,
    typer.Option(
        metavar="FILE",
        help="Its weights (.safetensors, or a state_dict of torch.save), where they cannot be downloaded.",
    ),
]
Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL|RUN",
        help="A model's folder, such as runs/my/model; a run's folder, such as runs/my/plain/seed-0; or an arm's folder, which means "
        "all its finished seeds.",
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
        parser=path,
        metavar="FILE",
        help="The file to write; by default model.onnx or model.pt2 in the run's folder.",
    ),
]

__all__ = [
    "All",
    "Backbone",
    "File",
    "Folder",
    "Format",
    "Images",
    "Minutes",
    "Model",
    "Name",
    "Source",
    "Top",
    "Weights",
    "With",
]
Audited = Annotated[
    str,
    typer.Argument(
        metavar="DATA|STUDY",
        help="Images, as data.source of a study file takes: a name or a path; or a study file, or a study's folder, whose best network "
        "helps to find pictures that are turned.",
    ),
]
Near = Annotated[
    bool,
    typer.Option("--near/--no-near", help="Look for near duplicates too; takes long for very many images."),
]
AuditPage = Annotated[
    Path | None,
    typer.Option(
        parser=path,
        metavar="FILE.html",
        help="Where to write the page; NAME-audit.html by default, of a study audit.html in its folder.",
    ),
]
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
