"""Which runs a path means, and what their networks take: an image of one shape, made by one rule, to one set of classes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from striate.core.errors import RunError
from striate.nets.layers import Shape
from striate.runs import Run, layout, reader


@dataclass(frozen=True)
class Rule:
    """How an image becomes what a network takes: the same as in training."""

    classes: tuple[str, ...]
    shape: Shape  # channels, height, width
    size: (
        int | None
    )  # the short side is resized to it and the central square cropped; None: images have the shape already
    bits: int  # used in images of 16 bits a channel

    @classmethod
    def of(cls, run: Run) -> Self:
        """The rule of a finished run.

        Raises:
            RunError: when the run has no trained network, or did not keep what is needed.
        """
        facts = run.summary.data if run.summary else None
        if run.state != "finished":
            raise RunError(f"{run.folder}: the run is {run.state}; only a finished one has a trained network")
        if facts is None or facts.shape is None or not (facts.classes and facts.mean and facts.std):
            missing = "the classes, the shape, the mean or the deviation of its images"
            raise RunError(f"{run.folder / layout.SUMMARY}: lacks {missing}; train the run again in another folder")
        _, height, width = facts.shape
        # A square network takes every image by the rule of data.size, also where training had no need of it.
        size = run.job.data.size or (height if height == width else None)
        return cls(facts.classes, facts.shape, size, facts.bits or 16)

    @property
    def sentence(self) -> str:
        """How an image is prepared, in words."""
        channels, height, width = self.shape
        colors = "gray" if channels == 1 else "RGB"
        if self.size is None:
            return f"turn upright by EXIF, convert to {colors}; the image must be {width} x {height}"
        return (
            f"turn upright by EXIF, convert to {colors}, resize the short side to {self.size} (bilinear, antialiased), "
            f"crop the central {width} x {height}"
        )


def runs_at(paths: Sequence[Path]) -> tuple[Run, ...]:
    """The runs in these folders: each a run, or an arm, which means all its finished seeds.

    Raises:
        RunError: when there is none, or when runs have other classes or take other images than the first.
    """
    runs = tuple(run for path in paths for run in _runs_in(path))
    rules = [Rule.of(run) for run in runs]
    for run, rule in zip(runs, rules, strict=True):
        what = (
            "predicts other classes" if rule.classes != rules[0].classes else "takes images of another shape or range"
        )
        if rule != rules[0]:
            raise RunError(f"{run.folder}: {what} than {runs[0].folder}; give runs of one data set")
    return runs


def _runs_in(path: Path) -> Iterator[Run]:
    if (path / layout.RUN).exists() or not path.is_dir():
        yield reader.read(path)
        return
    folders = layout.seeds_in(path)
    if not folders and (arms := sorted({arm for arm, _ in layout.runs_in(path)})):
        raise RunError(f"{path}: is a study of several runs; give the folder of one arm, such as {path / arms[0]}")
    runs = [reader.read(folder) for folder in folders]
    finished = [run for run in runs if run.state == "finished"]
    if not finished:
        raise RunError(f"{path}: holds no {'finished ' if runs else ''}run; give a run's folder, or train it first")
    yield from finished
