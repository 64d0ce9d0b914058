"""A trained network as predictions need it, wherever it is kept: how it computes, and how an image becomes what it takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from striate.core.errors import RunError
from striate.nets import NetworkConfig
from striate.nets.layers import Shape
from striate.recipes import Recipe
from striate.runs import Run, RunEnvironment, layout


@dataclass(frozen=True)
class Rule:
    """How an image becomes what a network takes: the same as in training."""

    classes: tuple[str, ...]
    shape: Shape  # channels, height, width
    size: (
        int | None
    )  # the short side is resized to it and the central square cropped; None: images have the shape already
    bits: int  # used in images of 16 bits a channel

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


@dataclass(frozen=True)
class Trained:
    """A trained network: the file of its weights, and everything that decides its outputs."""

    folder: Path
    weights: Path
    network: NetworkConfig
    code: Mapping[str, str]  # of a module of the user's own
    recipe: Recipe  # of which the precision and the views of test time count
    environment: RunEnvironment | None
    rule: Rule
    mean: tuple[float, ...]  # of each channel, in units of 0 to 1
    std: tuple[float, ...]
    digest: str  # of the images that it was trained with
    seed: int
    fingerprint: str  # of its run

    @classmethod
    def of(cls, run: Run) -> Self:
        """The network of the best epoch of a finished run.

        Raises:
            RunError: when the run has no trained network, or did not keep what is needed.
        """
        facts = run.summary.data if run.summary else None
        if run.state != "finished":
            raise RunError(f"{run.folder}: the run is {run.state}; only a finished one has a trained network")
        if facts is None or facts.shape is None or not (facts.classes and facts.mean and facts.std):
            missing = "the classes, the shape, the mean or the deviation of its images"
            raise RunError(f"{run.folder / layout.SUMMARY}: lacks {missing}; train the run again in another folder")
        weights = next(
            (run.folder / name for name in (layout.BEST, layout.FINAL) if (run.folder / name).exists()), None
        )
        if weights is None:
            raise RunError(f"{run.folder}: holds no weights ({layout.BEST}); train the run again in another folder")
        _, height, width = facts.shape
        # A square network takes every image by the rule of data.size, also where training had no need of it.
        size = run.job.data.size or (height if height == width else None)
        return cls(
            folder=run.folder,
            weights=weights,
            network=run.job.network,
            code=run.job.code,
            recipe=run.job.recipe,
            environment=run.environment,
            rule=Rule(facts.classes, facts.shape, size, facts.bits or 16),
            mean=facts.mean,
            std=facts.std,
            digest=run.job.digest,
            seed=run.seed,
            fingerprint=run.fingerprint,
        )
