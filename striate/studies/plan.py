"""From a study to the runs that it needs. Nothing is trained; whatever can be refused before training is refused here.

A plan reads each run folder once. It refuses a folder that holds runs of another study.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from striate.core import config
from striate.core.errors import ConfigError, RecipeError, StudyError, error_context
from striate.core.records import fingerprint
from striate.data import Dataset, augment, is_unequal, load, split
from striate.nets.summary.summarize import count_parameters
from striate.nets.user_code import differences
from striate.recipes import Recipe
from striate.runs import Job, Run, layout, read
from striate.studies.design import StudyDesign, changes
from striate.studies.results import Results
from striate.studies.study import Arm, Study, read_study
from striate.verdicts.wording import short_list

FEW = 10  # images of a class, from which its accuracy is hardly known
MOST_SPLITS = 10  # of a study's seeds, looked at for copies


@dataclass(frozen=True, repr=False)
class PlannedRun:
    """A run that the study needs; `run` is what its folder held when the plan was made."""

    arm: str
    seed: int
    job: Job
    folder: Path
    run: Run | None = None

    def __repr__(self) -> str:
        return f"<PlannedRun {self.label}: {self.state}>"

    @property
    def state(self) -> Literal["new", "unfinished", "failed", "done"]:
        """What is left to do: an unfinished run is resumed, a failed one is tried again."""
        if self.run is None:
            return "new"
        if self.run.is_result:
            return "done"
        return "failed" if self.run.state == "failed" else "unfinished"

    @property
    def label(self) -> str:
        return f"{self.arm} seed {self.seed}"

    @property
    def has_begun(self) -> bool:
        """Whether its folder holds a run by now."""
        return (self.folder / layout.RUN).exists()


@dataclass(frozen=True, repr=False)
class Plan:
    """Every run that a study may need, arm by arm, seed by seed. With planned looks, not all of them are due at first."""

    study: Study
    arms: tuple[Arm, ...]
    folder: Path
    runs: tuple[PlannedRun, ...]
    datasets: Mapping[str, Dataset]  # by arm
    parameters: Mapping[str, int]  # by arm
    unplanned: tuple[PlannedRun, ...] = ()  # runs of these arms in the folder, with seeds that the study leaves out
    previous: Study | None = None  # the study file in the folder, as the last command wrote it
    previous_arms: tuple[Arm, ...] = ()
    of_weights: tuple[str, ...] = ()  # what was stripped from files of weights

    def __repr__(self) -> str:
        done = len(self.due) - len(self.missing)
        return f"<Plan of '{self.study.name}': {len(self.due)} runs, {done} done, {len(self.missing)} to train>"

    @cached_property
    def due(self) -> tuple[PlannedRun, ...]:
        """The runs that are needed, as far as the results so far say: those of the looks that come next, and the finished ones."""
        if not self.study.looks:
            return self.runs
        finished = {run.folder: run.run for run in (*self.runs, *self.unplanned) if run.run}
        study = self.study.replace(design=self.design)
        rows = {(row.arm, row.seed) for row in Results.collect(self.folder, study, self.arms, finished).rows}
        return tuple(run for run in self.runs if (run.arm, run.seed) in rows)

    @property
    def missing(self) -> tuple[PlannedRun, ...]:
        """The runs to train."""
        return tuple(run for run in self.due if run.state != "done")

    @cached_property
    def design(self) -> StudyDesign:
        """What was planned when the first run ended, with what was planned later; what the study file plans while none has."""
        now = self.study.plan_of(self.arms)
        if self.previous is None or not self._arms_with_results:
            return now
        fixed = self.previous.design or self.previous.plan_of(self.previous_arms)
        if fixed.is_trial:
            fixed = fixed.replace(seeds=now.seeds, looks=now.looks).sealed()
        return fixed.with_comparisons(self.study.metric, now.comparisons)

    def after(self, runs: Mapping[Path, Run]) -> "Plan":
        """The plan once these runs have ended; by folder."""
        updated = tuple(replace(run, run=runs.get(run.folder, run.run)) for run in self.runs)
        return replace(self, runs=updated)

    @property
    def has_results(self) -> bool:
        return bool(self._arms_with_results)

    @property
    def _arms_with_results(self) -> list[str]:
        """The arm of each run that has ended."""
        return [run.arm for run in (*self.runs, *self.unplanned) if run.state == "done"]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know before the runs start: of the images as they were read, then of the plan."""
        by_digest = {dataset.digest: dataset for dataset in self.datasets.values()}
        of_images = (f"{data.name}: {note}" for data in by_digest.values() for note in self.notes_of(data))
        return (*of_images, *self.warnings)

    def notes_of(self, dataset: Dataset) -> tuple[str, ...]:
        """The notes of a dataset, and what whole groups make of the share that its arms hold out for validation."""
        shares = {arm.data.validation for arm in self.arms if self.datasets[arm.name].digest == dataset.digest}
        held_out = (_held_out(dataset, share, self.study.seeds) for share in sorted(shares))
        return (*dataset.notes, *(note for notes in held_out for note in notes))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is unwise in the plan, given the images."""
        arms_of: dict[str, list[Arm]] = {}
        for arm in self.arms:
            arms_of.setdefault(self.datasets[arm.name].digest, []).append(arm)
        return (
            tuple(
                warning
                for arms in arms_of.values()
                for warning in (
                    *_imbalance(self.datasets[arms[0].name], arms, self.study.seeds[0]),
                    *_copies(self.datasets[arms[0].name], arms, self.study.seeds),
                )
            )
            + self.of_weights
        )

    def replanned(self) -> tuple[str, ...]:
        """What was changed in the plan after runs had finished, now and before."""
        if self.previous is None:
            return ()
        done = self._arms_with_results
        before, now = self.previous.plan_of(self.previous_arms), self.study.plan_of(self.arms)
        listed = changes(before, now, done) if done else ()
        return (*self.previous.replanned, *(f"{change}, after {len(done)} finished runs" for change in listed))


def _imbalance(dataset: Dataset, arms: Sequence[Arm], seed: int) -> Iterator[str]:
    """Advice where a class is so small that accuracy says little of it, and arms do nothing about that."""
    sizes = dataset.class_sizes
    unweighted = [arm.name for arm in arms if arm.recipe.class_weights == "none"]
    if is_unequal(sizes) and unweighted:
        small, large = (dataset.classes[int(row)] for row in (sizes.argmin(), sizes.argmax()))
        share = 100 * sizes.max() / sizes.sum()
        rule = f"accuracy says little of '{small}', as always answering '{large}' is right in {share:.0f} %"
        validated = split(dataset, min(arm.data.validation for arm in arms), seed).part("validation").labels
        if (count := int((validated == sizes.argmin()).sum())) < FEW:
            rule += f", and validation has {count} image{'s' * (count != 1)} of it"
        cure = "look at the balanced accuracy and at each class, and try recipe.class_weights: balanced"
        yield f"{dataset.name}: {rule}; {cure} ({short_list(unweighted)})"


def _held_out(dataset: Dataset, share: float, seeds: Sequence[int]) -> Iterator[str]:
    """How near whole groups come to the share of validation, of all training images and of each class."""
    if dataset.validation is not None or dataset.groups is None:
        return
    drawn = [split(dataset, share, seed).validation for seed in seeds[:MOST_SPLITS]]
    counts = [np.bincount(dataset.train.labels[rows], minlength=len(dataset.classes)) for rows in drawn]
    of_all = _range([len(rows) / len(dataset.train) for rows in drawn])
    of_class = _range([each for of_seed in counts for each in of_seed / dataset.class_sizes])
    rule = f"{dataset.groups.max() + 1:,} groups of training images, each whole in training or validation"
    held_out = f"{of_all} of the images are held out, and of single classes {of_class}"
    if of_all == of_class:
        held_out = f"{of_all} of the images and of each class are held out"
    yield f"{rule}: {held_out} ({100 * share:g} % are asked for)"


def _range(shares: Sequence[float]) -> str:
    low, high = (f"{100 * share:.1f}" for share in (min(shares), max(shares)))
    return f"{low} %" if low == high else f"{low} to {high} %"


def _copies(dataset: Dataset, arms: Sequence[Arm], seeds: Sequence[int]) -> Iterator[str]:
    """Validation images that are training images too, where the seed draws the validation part."""
    first = dataset.copy_of
    if dataset.validation is not None or first is None or (first == np.arange(len(first))).all():
        return
    shares = sorted({arm.data.validation for arm in arms})
    counts = [split(dataset, share, seed).validation_copies for share in shares for seed in seeds[:MOST_SPLITS]]
    fewest, most = min(counts), max(counts)
    if most:
        number = f"{most:,}" if fewest == most else f"{fewest:,} to {most:,} (by seed)"
        yield f"{dataset.name}: of the validation images {number} are, pixel by pixel, also trained on"


def make_plan(study: Study, arms: Sequence[Arm], folder: Path) -> Plan:
    """The plan of `study` in `folder`. Reads the images and the run folders; writes nothing.

    Raises:
        StriateError: for missing data, a network that does not fit the images, or a folder of another study.
    """
    datasets = _load_datasets(arms)
    of_weights: list[str] = []
    parameters = _check_arms(arms, datasets, of_weights.append)
    runs: list[PlannedRun] = []
    unplanned: list[PlannedRun] = []
    for arm in arms:
        planned, others = _plan_arm(study, arm, datasets[arm.name], folder)
        runs += planned
        unplanned += others
    previous, previous_arms = _previous_study(folder)
    if previous and all(run.run is None for run in runs):
        _check_same_study(study, previous, folder)
    return Plan(
        study,
        tuple(arms),
        folder,
        tuple(runs),
        datasets,
        parameters,
        tuple(unplanned),
        previous,
        previous_arms,
        tuple(dict.fromkeys(of_weights)),
    )


def _load_datasets(arms: Sequence[Arm]) -> dict[str, Dataset]:
    """The dataset of each arm; arms with equal settings share one."""
    loaded: dict[str, Dataset] = {}
    datasets = {}
    for arm in arms:
        key = fingerprint(arm.data, arm.data.source)
        if key not in loaded:
            loaded[key] = load(arm.data)
        datasets[arm.name] = loaded[key]
    return datasets


def _check_arms(arms: Sequence[Arm], datasets: Mapping[str, Dataset], note: Callable[[str], None]) -> dict[str, int]:
    """The number of parameters of each arm, checked on its images; each different network and split once."""
    from striate.engines.select import check_batch_norm  # here, because it takes longer to import than a study to read

    counts: dict[str, int] = {}
    train_sizes: dict[tuple[str, float], int] = {}
    parameters = {}
    for arm in arms:
        dataset = datasets[arm.name]
        shape = (dataset.channels, dataset.height, dataset.width)
        network = fingerprint(arm.network.model_dump(mode="json"), shape, len(dataset.classes))
        parts = (dataset.digest, arm.data.validation)
        with error_context(f"arm '{arm.name}' on {dataset.name} ({'x'.join(map(str, shape))})"):
            if network not in counts:
                counts[network] = count_parameters(arm.network, shape, len(dataset.classes), note)
            if parts not in train_sizes:
                train_sizes[parts] = split(dataset, arm.data.validation, seed=0).size("train")
            augment.check_fits(arm.recipe.augment, (*shape[1:], shape[0]))
            _check_precise_norm(arm.recipe, train_sizes[parts])
            check_batch_norm(arm.recipe, arm.network, shape, len(dataset.classes), train_sizes[parts])
        parameters[arm.name] = counts[network]
    return parameters


def _check_precise_norm(recipe: Recipe, train_images: int) -> None:
    if (recipe.precise_norm or 0) > train_images:
        raise RecipeError(
            f"recipe.precise_norm: must be at most {train_images}, the images of the training split, got {recipe.precise_norm}"
        )


def _plan_arm(study: Study, arm: Arm, dataset: Dataset, folder: Path) -> tuple[list[PlannedRun], list[PlannedRun]]:
    """The runs of one arm: those of the study's seeds, and those of other seeds that its folder holds."""
    with arm.error_context():
        weights, code = arm.network.weights_digest(), arm.network.code()

    def plan_run(seed: int, run: Run | None) -> PlannedRun:
        job = Job(
            data=arm.data,
            digest=dataset.digest,
            network=arm.network,
            weights=weights,
            code=code,
            recipe=arm.recipe,
            seed=seed,
            watch_test=study.watch_test,
            watch_train=study.watch_train,
        )
        if run:
            _check_same_job(run, job, arm, dataset)
        return PlannedRun(arm.name, seed, job, layout.run_folder(folder, arm.name, seed), run)

    folders = {seed: layout.run_folder(folder, arm.name, seed) for seed in study.seeds}
    arm_folder = folder / layout.slug(arm.name)
    runs = {path.parent: read(path.parent) for path in sorted(arm_folder.glob(f"*/{layout.RUN}"))}
    for run_folder in folders.values():
        if run_folder not in runs:
            _check_no_results(run_folder)
    planned = [plan_run(seed, runs.pop(run_folder, None)) for seed, run_folder in folders.items()]
    return planned, [plan_run(run.seed, run) for run in runs.values()]


def _check_no_results(folder: Path) -> None:
    """Refuse results whose settings are unknown."""
    if any((folder / name).exists() for name in (layout.SUMMARY, layout.METRICS, *layout.CHECKPOINTS)):
        raise StudyError(f"{folder}: holds results without the {layout.RUN} that describes them; remove that folder")


def _check_same_job(run: Run, job: Job, arm: Arm, dataset: Dataset) -> None:
    """One arm's folder never holds runs of two settings, whatever their seeds."""
    if run.fingerprint == job.fingerprint:
        return
    if run.description.get("digest") != job.digest:
        raise StudyError(
            f"{run.folder}: was trained on other images than '{dataset.name}' has now; "
            "bring back the images, choose another --out, or remove that folder"
        )
    if other := _other_code(run, job):
        raise StudyError(
            f"{run.folder}: {other}, and one arm never has two; bring back the code, choose another --out, or remove that folder"
        )
    raise StudyError(
        f"{run.folder}: holds a run with other settings than this study's arm '{arm.name}'; "
        "choose another --out, give the study another name (name=...), or remove that folder"
    )


def _other_code(run: Run, job: Job) -> str:
    """In words, that a run is of the same settings with other code; empty where more than that differs."""
    if not job.code or run.job.replace(code=job.code).fingerprint != job.fingerprint:
        return ""
    if not run.job.code:
        return f"was trained by a version that did not keep the code of {job.network.title}"
    return f"was trained with other code than {short_list(differences(run.job.code, job.code))} has now"


def _previous_study(folder: Path) -> tuple[Study | None, tuple[Arm, ...]]:
    path = folder / layout.STUDY
    if not path.exists():
        return None, ()
    try:
        study, arms, _ = read_study(config.read(path))
        return study, arms
    except ConfigError as error:
        raise StudyError(f"{path}: is not a study that this version reads ({error}); choose another --out") from error


def _check_same_study(study: Study, previous: Study, folder: Path) -> None:
    """Refuse a folder of this study's name that another study made: one with another question and no arm in common."""
    if previous.question != study.question and not study.variations.keys() & previous.variations.keys():
        raise StudyError(
            f"{folder}: was made by a different study of the same name ('{previous.question}'); "
            "choose another --out, or give this study another name (name=...)"
        )
