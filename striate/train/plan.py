"""From a folder and a time to a study: what is counted, timed and chosen, step by step, and the file that says it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from striate.core import config
from striate.core.errors import DataError, NetworkError, StudyError
from striate.core.processes import cpu_count
from striate.data import Dataset, is_unequal, split
from striate.engines.precision import PrecisionChoice
from striate.recipes import views
from striate.runs import layout
from striate.studies.execute.local import WorkerPool
from striate.studies.execute.messages import TimeSteps
from striate.studies.execute.precision import study_precision
from striate.studies.loaded import LoadedStudy
from striate.studies.plan import Plan
from striate.studies.study import read_study
from striate.train import backbone as backbones
from striate.train import rules, study_file
from striate.train.backbone import Backbone
from striate.train.rules import Candidate, Chosen, Cost
from striate.train.survey import Survey

Note = Callable[[str], None]

# A training that was timed for a second may turn out slower by so much.
SAFETY = 0.92
# Of an epoch, beside its images: the state is written to the disk now and then.
EPOCH_SECONDS = 0.15
WRITTEN_BYTES_A_SECOND = 2e8
STATE_BYTES = 16  # of each parameter: weights, two moments of the optimizer, the best weights
TIMING_SECONDS = 1.5  # of each candidate, at most
COMFORTABLE = 8  # epochs of fine-tuning, below which the smaller backbone is taken


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the command was asked for."""

    source: str
    minutes: float
    name: str
    out: Path
    network: str = ""
    weights: str = ""
    device: str = "auto"


@dataclass(frozen=True)
class Clock:
    """The time of the command, from its start."""

    started: float
    seconds: float

    @property
    def used(self) -> float:
        return time.monotonic() - self.started

    @property
    def left(self) -> float:
        return self.seconds - self.used


@dataclass(frozen=True)
class Made:
    """The study, and its time."""

    settings: study_file.Settings
    seconds: float  # that the training should take
    ending: float  # seconds that are needed after it


class Planner:
    """Makes the study of one request. `pool`: the workers that will train, which time the steps too."""

    def __init__(
        self,
        request: Request,
        pool: WorkerPool,
        clock: Clock,
        note: Note,
        should_stop: Callable[[], bool],
        group: Chosen | None = None,
    ) -> None:
        self.request, self.pool, self.clock, self.note, self.should_stop = request, pool, clock, note, should_stop
        self.group = group
        self.threads = max(1, cpu_count() // max(1, len(pool.workers)))

    def make(self, looked: Survey, ending_seconds: Callable[[int, float], float]) -> Made:
        """The study; `ending_seconds` says how long the command needs after the training, given the number of test images and the speed.

        Raises:
            StriateError: for images that cannot be used, a network that cannot be made, or too little time.
        """
        choices = self._backbones()
        most = rules.SIZES[0]
        while True:
            backbone = choices[0] if choices else None
            settings, plan = self._provisional(looked, backbone, most)
            side = plan.datasets[settings.arms[0]].height
            self.note(f"timing a few steps of {', '.join(settings.arms)} on images of {side} pixels")
            costs, speed = self._costs(plan)
            ending = ending_seconds(plan.datasets[settings.arms[0]].test_size, speed)
            seconds = SAFETY * (self.clock.left - ending)
            epochs = self._epochs(settings.candidates, costs, seconds)
            if epochs and (len(choices) < 2 or epochs[0] >= COMFORTABLE):
                chosen = [
                    replace(each, epochs=number) for each, number in zip(settings.candidates, epochs, strict=True)
                ]
                return Made(replace(settings, candidates=chosen), seconds, ending)
            if len(choices) > 1:
                self.note(f"{choices[0].title} would be too slow for this time; {choices[1].title} is taken instead")
                choices = choices[1:]
                continue
            needed = rules.needed_seconds(settings.candidates, costs, study_file.SEEDS, len(self.pool.workers))
            smaller = rules.smaller(settings.size.value or looked.short_side, max(seconds, 0.0) / needed, bool(choices))
            if smaller is None:
                return self._least(settings, costs, seconds, ending)
            most = smaller

    def _least(self, settings: study_file.Settings, costs: Sequence[Cost], seconds: float, ending: float) -> Made:
        """The study where time is short even for the smallest images: without the dearest candidates, at last of a single epoch."""
        several = list(zip(settings.candidates, costs, strict=True))
        while True:
            if len(several) == 1:
                several = [(replace(several[0][0], least=1), several[0][1])]
            candidates, kept = [each for each, _ in several], [cost for _, cost in several]
            if epochs := self._epochs(candidates, kept, seconds):
                chosen = [replace(each, epochs=number) for each, number in zip(candidates, epochs, strict=True)]
                return Made(replace(settings, candidates=chosen), seconds, ending)
            if len(several) == 1:
                lacking = rules.needed_seconds(candidates, kept, study_file.SEEDS, len(self.pool.workers)) - seconds
                raise self._too_little_time(lacking)
            dearest = max(range(len(several)), key=lambda index: kept[index].epoch * candidates[index].least)
            self.note(f"{candidates[dearest].name} is left out: there is no time for it")
            del several[dearest]

    def _epochs(self, candidates: Sequence[Candidate], costs: Sequence[Cost], seconds: float) -> list[int] | None:
        return rules.epochs_within(candidates, costs, study_file.SEEDS, len(self.pool.workers), seconds)

    def _too_little_time(self, lacking: float) -> StudyError:
        minutes = self.request.minutes + max(lacking, 1.0) / 60 / SAFETY
        return StudyError(
            f"--minutes: {study_file.SEEDS} seeds of the cheapest network need about {minutes:.1f} minutes on this machine for an "
            f"epoch of these images, got {self.request.minutes:g}; give more, or fewer images (data.limit in a study file)"
        )

    def _backbones(self) -> list[Backbone]:
        """The pretrained networks to choose from, the best first; empty where there are no weights."""
        given = backbones.given(self.request.network, self.request.weights)
        if given and given.network.get("pretrained") is not True:
            return [given]
        found = []
        for name in [str(given.network["torchvision"])] if given else backbones.BY_TIME:
            try:
                found.append(backbones.published(name))
            except NetworkError as error:
                self.note(
                    f"no pretrained network: {error}; with a file of weights from elsewhere, give --weights FILE. "
                    "Networks from scratch are trained"
                )
                break
        return found

    def _provisional(self, looked: Survey, backbone: Backbone | None, most: int) -> tuple[study_file.Settings, Plan]:
        """The settings with one epoch for each candidate, and the plan, for which the images are read."""
        size = rules.image_size(looked, backbone is not None, most)
        dataset = self._dataset(looked, backbone, size)
        if (
            backbone
            and backbone.is_pretrained
            and "import" in backbone.network
            and not backbone.network.get("pretrained")
        ):
            shape = (dataset.channels, dataset.height, dataset.width)
            if not backbones.starts_trained(backbone.network, shape, len(dataset.classes)):
                backbone = replace(backbone, is_pretrained=False)
        settings = self._settings(looked, backbone, size, dataset)
        plan = self._plan(settings)
        return settings, plan

    def _dataset(self, looked: Survey, backbone: Backbone | None, size: Chosen) -> Dataset:
        """The images; one by one, where no choice of the groups that were found has every class in each part."""
        settings = self._settings(looked, backbone, size, None)
        try:
            return self._plan(settings).datasets[settings.arms[0]]
        except DataError as error:
            if self.group is None:
                raise
            self.note(f"the study file gets no group, which would fail: {error}")
            self.group = None
            return self._dataset(looked, backbone, size)

    def _settings(
        self, looked: Survey, backbone: Backbone | None, size: Chosen, dataset: Dataset | None
    ) -> study_file.Settings:
        """The settings; without a dataset those that reading the images needs."""
        images = len(dataset.train) if dataset else 100_000
        has_own_validation = dataset is not None and dataset.validation is not None
        validation = None if has_own_validation else rules.validation_share(images)
        trained = images if validation is None else round(images * (1 - validation.value))
        side = size.value or looked.short_side
        batch = rules.batch_size(side, trained)
        needs_color = backbone is not None and "torchvision" in backbone.network
        return study_file.Settings(
            name=self.request.name,
            source=str(Path(self.request.source).resolve())
            if Path(self.request.source).exists()
            else self.request.source,
            made=f"Made by 'striate train' on {date.today()} for {self.request.minutes:g} minutes on {cpu_count()} CPU cores.",
            classes=len(dataset.classes) if dataset else 2,
            size=size,
            channels=Chosen(3, "the pretrained network takes color images") if needs_color else None,
            validation=validation,
            group=self.group,
            batch=batch,
            augment=rules.augmentation(side, dataset.channels if dataset else 3),
            is_balanced=dataset is not None and is_unequal(dataset.class_sizes),
            matters=rules.matters(dataset.test_size if dataset else 100),
            candidates=rules.candidates(
                backbone.network if backbone else None,
                side,
                trained,
                batch.value,
                backbone is None or backbone.is_pretrained,
            ),
        )

    def _plan(self, settings: study_file.Settings) -> Plan:
        document = config.parse(study_file.text(settings), f"{settings.name}.yaml")
        study, arms, document = read_study(document)
        return LoadedStudy(study, arms, document, self.request.out / layout.slug(study.name)).plan()

    def _costs(self, plan: Plan) -> tuple[list[Cost], float]:
        """What a run of each candidate costs, from a few steps in every worker; and the lowest speed of evaluation."""
        precision = self._precision(plan)
        costs, speeds = [], []
        for arm in plan.arms:
            dataset = plan.datasets[arm.name]
            asked = TimeSteps(
                arm.data, arm.recipe, arm.network, self.request.device, self.threads,
                min(TIMING_SECONDS, self.clock.seconds / 200), precision,
            )  # fmt: skip
            timed = self.pool.time_steps(asked, self.should_stop)
            if timed is None:
                raise Interrupted
            parts = split(dataset, arm.data.validation, seed=0)
            validation = parts.size("validation")
            at_end = len(views(arm.recipe.test_time)) * (validation + dataset.test_size)
            save = STATE_BYTES * plan.parameters[arm.name] / WRITTEN_BYTES_A_SECOND
            epoch = parts.size("train") / timed.train + validation / timed.evaluate + EPOCH_SECONDS + save
            costs.append(Cost(timed.start_seconds + save + at_end / timed.evaluate, epoch))
            speeds.append(timed.evaluate)
        return costs, min(speeds)

    def _precision(self, plan: Plan) -> PrecisionChoice | None:
        return study_precision(
            plan,
            self.request.device,
            self.threads,
            lambda asked: self.pool.choose_precision(asked, self.should_stop),
        )


class Interrupted(Exception):
    """The user stopped the command before anything was trained."""
