"""From a study to the runs it needs: pure of training, with everything checked that can be checked before.

A plan knows what is done already, and refuses a folder that another study has made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from striate.core import config
from striate.core.errors import ConfigError, StriateError, StudyError
from striate.core.records import fingerprint
from striate.data import DataConfig, Dataset, load, split
from striate.nets import parameters
from striate.runs import Job, layout, read
from striate.studies.study import Arm, Study, read_study


@dataclass(frozen=True)
class Planned:
    """One run to be, and how far it is: new, to be resumed, done, or failed before (and so tried again)."""

    arm: str
    seed: int
    job: Job
    folder: Path
    state: Literal["new", "unfinished", "failed", "done"]

    @property
    def label(self) -> str:
        return f"{self.arm} seed {self.seed}"


@dataclass(frozen=True)
class Plan:
    """Every run of a study, arm by arm, seed by seed."""

    study: Study
    arms: tuple[Arm, ...]
    folder: Path
    runs: tuple[Planned, ...]
    datasets: Mapping[str, Dataset]  # by arm
    parameters: Mapping[str, int]  # by arm

    @property
    def missing(self) -> tuple[Planned, ...]:
        """What is to be trained."""
        return tuple(run for run in self.runs if run.state != "done")


def make_plan(study: Study, arms: Sequence[Arm], folder: Path) -> Plan:
    """The plan of `study` in `folder`; reads the images, writes nothing.

    Raises:
        StriateError: for data that is not there, a network that does not fit, a folder of another study.
    """
    loaded: dict[str, Dataset] = {}
    datasets = {
        arm.name: loaded.setdefault(_key(arm.data), loaded.get(_key(arm.data)) or load(arm.data)) for arm in arms
    }
    counts = {arm.name: _fits(study, arm, datasets[arm.name]) for arm in arms}
    runs = tuple(_planned(arm, seed, datasets[arm.name], folder) for arm in arms for seed in study.seeds)
    _same_study(study, arms, runs, folder)
    return Plan(study, tuple(arms), folder, runs, datasets, counts)


def _key(data: DataConfig) -> str:
    return f"{data.source}:{fingerprint(data)}"


def _fits(study: Study, arm: Arm, dataset: Dataset) -> int:
    """The parameters of the arm's network on these images."""
    shape = (dataset.channels, dataset.height, dataset.width)
    try:
        count = parameters(arm.network, shape, len(dataset.classes))
        for seed in study.seeds:
            split(dataset, arm.data.validation, seed)
    except StriateError as error:
        size = "x".join(map(str, shape))
        raise type(error)(f"arm '{arm.name}' on {dataset.name} ({size}): {error}") from error
    return count


def _planned(arm: Arm, seed: int, dataset: Dataset, folder: Path) -> Planned:
    job = Job(data=arm.data, digest=dataset.digest, network=arm.network, recipe=arm.recipe, seed=seed)
    place = layout.run_folder(folder, arm.name, seed)
    if not (place / layout.RUN).exists():
        return Planned(arm.name, seed, job, place, "new")
    there = read(place)
    if there.fingerprint != job.fingerprint:
        raise StudyError(
            f"{place}: holds a run with other settings than this study's arm '{arm.name}'; "
            "choose another --out, give the study another name (name=...), or remove that folder"
        )
    state: Literal["done", "failed", "unfinished"] = (
        "done" if there.is_result else "failed" if there.state == "failed" else "unfinished"
    )
    return Planned(arm.name, seed, job, place, state)


def _same_study(study: Study, arms: Sequence[Arm], runs: Sequence[Planned], folder: Path) -> None:
    """A folder with this study's name may hold another study: one that asks something else of arms that we do not have."""
    path = folder / layout.STUDY
    if not path.exists() or any(run.state != "new" for run in runs):
        return
    try:
        there, there_arms, _ = read_study(config.read(path))
    except ConfigError as error:
        raise StudyError(f"{path}: is not a study that this version reads ({error}); choose another --out") from error
    if there.question != study.question and not {arm.name for arm in arms} & {arm.name for arm in there_arms}:
        raise StudyError(
            f"{folder}: was made by a different study of the same name ('{there.question}'); "
            "choose another --out, or give this study another name (name=...)"
        )
