"""Which trained networks a path means: a model, a run, or an arm, which means all its finished seeds."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from striate.core.errors import RunError
from striate.deploy import model_file
from striate.deploy.trained import Trained
from striate.runs import layout, reader


def trained_at(paths: Sequence[Path]) -> tuple[Trained, ...]:
    """The trained networks in these folders.

    Raises:
        RunError: when there is none, or when some have other classes or take other images than the first.
    """
    networks = tuple(network for path in paths for network in _networks_in(path))
    first = networks[0].rule
    for network in networks:
        what = (
            "predicts other classes"
            if network.rule.classes != first.classes
            else "takes images of another shape or range"
        )
        if network.rule != first:
            raise RunError(f"{network.folder}: {what} than {networks[0].folder}; give runs of one data set")
    return networks


def _networks_in(path: Path) -> Iterator[Trained]:
    if model := model_file.find(path):
        yield model_file.read(model)
        return
    if (path / layout.RUN).exists() or not path.is_dir():
        yield Trained.of(reader.read(path))
        return
    folders = layout.seeds_in(path)
    if not folders and (model := model_file.find(path / layout.MODEL)):
        yield model_file.read(model)
        return
    if not folders and (arms := sorted({arm for arm, _ in layout.runs_in(path)})):
        raise RunError(f"{path}: is a study of several runs; give the folder of one arm, such as {path / arms[0]}")
    runs = [reader.read(folder) for folder in folders]
    finished = [run for run in runs if run.state == "finished"]
    if not finished:
        raise RunError(f"{path}: holds no {'finished ' if runs else ''}run; give a run's folder, or train it first")
    yield from map(Trained.of, finished)
