"""The trained network of a run as a module, from the run's folder alone: its images are not needed."""

from pathlib import Path

import torch
from torch import nn

from striate.core.errors import NetworkError, RunError
from striate.nets.layers import Shape
from striate.nets.pytorch.build import build_trained
from striate.runs import Run, explained, layout, reader


def trained_module(folder: Path) -> tuple[nn.Module, Shape]:
    """The trained network of a run and the shape of its images.

    Raises:
        RunError: when there is no run, or it is not finished.
        NetworkError: when the weights are not those of the network.
    """
    run = reader.read(folder)
    facts = run.summary.data if run.summary else None
    if facts is None or facts.shape is None:
        raise RunError(f"{folder}: the run is {run.state}; a finished one has the shape of its images")
    return module_of(run, facts.shape, len(facts.classes)), facts.shape


def module_of(run: Run, shape: Shape, classes: int) -> nn.Module:
    """The trained network of a run, for images of this shape.

    Raises:
        RunError: when the run has no weights.
        NetworkError: when they are not those of the network, or not finite.
    """
    file = weights_file(run)
    module = build_trained(run.job.network, shape, classes, run.seed, file, run.job.code)
    broken = next((name for name, value in module.named_parameters() if not bool(torch.isfinite(value).all())), None)
    if broken is not None:
        raise NetworkError(f"{file}: '{broken}' has values that are not finite numbers; train the run again")
    return module


def weights_file(run: Run) -> Path:
    """The weights of the best epoch, or of the last.

    Raises:
        RunError: when the run has none.
    """
    file = explained.weights_file(run.folder)
    if file is None:
        cure = (
            "they were removed; put them back, or remove the folder and train the run again"
            if run.state == "finished"
            else f"the run is {run.state}, and has them when it is finished"
        )
        raise RunError(f"{run.folder}: holds no weights ({layout.BEST}); {cure}")
    return file
