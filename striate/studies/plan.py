"""From a study to the runs it needs: pure of training, with everything checked that can be checked before.

A plan knows what is done already, and refuses a folder that another study has made.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from striate.core import config
from striate.core.errors import ConfigError, StudyError, error_context
from striate.core.records import fingerprint
from striate.data import Dataset, augment, load, split
from striate.nets.summary.summarize import count_parameters
from striate.runs import Job, layout, read
from striate.studies.study import Arm, Study, read_study


@dataclass(frozen=True)
class PlannedRun:
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
    runs: tuple[PlannedRun, ...]
    datasets: Mapping[str, Dataset]  # by arm
    parameters: Mapping[str, int]  # by arm

    @property
    def missing(self) -> tuple[PlannedRun, ...]:
        """What is to be trained."""
        return tuple(run for run in self.runs if run.state != "done")

    def replanned(self) -> tuple[str, ...]:
        """What the kept study file planned otherwise, and was changed after runs had finished; and what it says of that."""
        path = self.folder / layout.STUDY
        if not path.exists():
            return ()
        before, _, _ = read_study(config.read(path))
        # Whatever their seeds: this plan may leave out those whose results are known.
        folders = ((arm.name, self.folder / layout.slug(arm.name)) for arm in self.arms)
        done = [
            name
            for name, folder in folders
            for path in folder.glob(f"seed-*/{layout.RUN}")
            if read(path.parent).is_result
        ]
        changes = _changes(before, self.study, done) if done else ()
        return (*before.replanned, *(f"{what}, after {len(done)} finished runs" for what in changes))


def _changes(before: Study, now: Study, done: Sequence[str]) -> Iterator[str]:
    if before.matters != now.matters:
        yield f"matters changed from {before.matters:g} to {now.matters:g}"
    for comparison in set(now.comparisons) - set(before.comparisons):
        if comparison.first in done and comparison.second in done:  # else it was planned before its runs
            yield f"comparison '{comparison}' added"
    for comparison in set(before.comparisons) - set(now.comparisons):
        yield f"comparison '{comparison}' taken out"


def make_plan(study: Study, arms: Sequence[Arm], folder: Path) -> Plan:
    """The plan of `study` in `folder`; reads the images, writes nothing.

    Raises:
        StriateError: for data that is not there, a network that does not fit, a folder of another study.
    """
    datasets = _datasets(arms)
    counts = {arm.name: _fits(study, arm, datasets[arm.name]) for arm in arms}
    runs = tuple(_planned(study, arm, seed, datasets[arm.name], folder) for arm in arms for seed in study.seeds)
    for arm in arms:
        _alike_on_disk(study, arm, datasets[arm.name], folder)
    _same_study(study, arms, runs, folder)
    return Plan(study, tuple(arms), folder, runs, datasets, counts)


def _datasets(arms: Sequence[Arm]) -> dict[str, Dataset]:
    """The dataset of each arm; those of equal settings are loaded once."""
    loaded: dict[tuple[str, str], Dataset] = {}
    found = {}
    for arm in arms:
        key = (arm.data.source, fingerprint(arm.data))
        if key not in loaded:
            loaded[key] = load(arm.data)
        found[arm.name] = loaded[key]
    return found


def _fits(study: Study, arm: Arm, dataset: Dataset) -> int:
    """The parameters of the arm's network on these images."""
    shape = (dataset.channels, dataset.height, dataset.width)
    with error_context(f"arm '{arm.name}' on {dataset.name} ({'x'.join(map(str, shape))})"):
        count = count_parameters(arm.network, shape, len(dataset.classes))
        for seed in study.seeds:
            split(dataset, arm.data.validation, seed)
        augment.check_fits(arm.recipe.augment, (*shape[1:], shape[0]))
    return count


def _planned(study: Study, arm: Arm, seed: int, dataset: Dataset, folder: Path) -> PlannedRun:
    with arm.named():
        weights = arm.network.weights_digest()
    job = Job(
        data=arm.data,
        digest=dataset.digest,
        network=arm.network,
        weights=weights,
        recipe=arm.recipe,
        seed=seed,
        watch_test=study.watch_test,
        watch_train=study.watch_train,
    )
    place = layout.run_folder(folder, arm.name, seed)
    if not (place / layout.RUN).exists():
        if any((place / name).exists() for name in (layout.SUMMARY, layout.METRICS, *layout.CHECKPOINTS)):
            raise StudyError(f"{place}: holds results without the {layout.RUN} that says of what; remove that folder")
        return PlannedRun(arm.name, seed, job, place, "new")
    there = read(place)
    if there.fingerprint != job.fingerprint:
        if there.description.get("digest") != job.digest:
            raise StudyError(
                f"{place}: was trained on other images than '{dataset.name}' has now; "
                "bring back the images, choose another --out, or remove that folder"
            )
        raise StudyError(
            f"{place}: holds a run with other settings than this study's arm '{arm.name}'; "
            "choose another --out, give the study another name (name=...), or remove that folder"
        )
    state: Literal["done", "failed", "unfinished"] = (
        "done" if there.is_result else "failed" if there.state == "failed" else "unfinished"
    )
    return PlannedRun(arm.name, seed, job, place, state)


def _alike_on_disk(study: Study, arm: Arm, dataset: Dataset, folder: Path) -> None:
    """Seeds that this study leaves out count too: one arm's folder never holds runs of two settings."""
    for path in sorted((folder / layout.slug(arm.name)).glob(f"seed-*/{layout.RUN}")):
        _planned(study, arm, read(path.parent).seed, dataset, folder)


def _same_study(study: Study, arms: Sequence[Arm], runs: Sequence[PlannedRun], folder: Path) -> None:
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
