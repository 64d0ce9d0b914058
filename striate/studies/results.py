"""The results of a study: the runs in its folder as rows, and the verdicts. Files are read; torch is not needed."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from striate.core import config
from striate.core.errors import ConfigError, StudyError
from striate.runs import Run, layout, read
from striate.studies.arm_names import short
from striate.studies.claim_verdicts import judge_claims
from striate.studies.design import StudyDesign
from striate.studies.display import Answer, answer
from striate.studies.grids import arm_facts, judge_effects
from striate.studies.metrics import TEST_ACCURACY, RunMetric, run_metric
from striate.studies.rows import RunRow, measured
from striate.studies.scales import ScaleResults, judge_scale
from striate.studies.stages import due_seeds, judge, judging
from striate.studies.study import Arm, Study, read_study
from striate.verdicts import ArmResults, Verdict
from striate.verdicts.claims import ClaimVerdict
from striate.verdicts.factorial import Effect
from striate.verdicts.wording import seed_list, short_list


@dataclass(frozen=True, repr=False)
class Results:
    """A study and its runs. `rows` has every run that is due and every other result of its arms, arm by arm, seed by seed.

    All finished runs count, whatever seeds the study file names today. With planned looks, a run is due once its look is.
    """

    folder: Path
    study: Study
    arms: tuple[Arm, ...]
    rows: tuple[RunRow, ...]
    left_out: Mapping[str, tuple[int, ...]]
    """The seeds of runs in the folder that count nowhere, by arm (or its folder's name): of other arms, or without a result."""

    @classmethod
    def read(cls, folder: Path | str) -> "Results":
        """The results in a study's folder, complete or not.

        Raises:
            StudyError: when the folder is no study's, or this user may not read it.
        """
        folder = Path(folder)
        try:
            if not (folder / layout.STUDY).is_file():
                raise StudyError(
                    f"{folder}: holds no study (no {layout.STUDY}); give the folder that 'striate run' named"
                )
            study, arms, _ = read_study(config.read(folder / layout.STUDY))
            return cls.collect(folder, study, arms)
        except ConfigError as error:
            raise StudyError(f"{folder}: its study file is broken: {error}") from error
        except OSError as error:
            cure = "; ask its owner for permission" if isinstance(error, PermissionError) else ""
            raise StudyError(f"{error.filename}: cannot be read ({error.strerror}){cure}") from error

    @classmethod
    def collect(
        cls, folder: Path, study: Study, arms: tuple[Arm, ...], finished: Mapping[Path, Run] = MappingProxyType({})
    ) -> "Results":
        """The results of a study that was read already; the runs in `finished`, by folder, are not read again."""

        def row(arm: str, seed: int) -> RunRow:
            run_folder = layout.run_folder(folder, arm, seed)
            if run_folder in finished:
                return RunRow(arm, seed, finished[run_folder])
            return RunRow(arm, seed, read(run_folder) if (run_folder / layout.RUN).exists() else None)

        names = {layout.slug(arm.name): arm.name for arm in arms}
        others = [(names.get(name, name), seed) for name, seed in layout.runs_in(folder)]
        others = sorted(other for other in others if other[0] not in names.values() or other[1] not in study.seeds)
        known = {arm.name: [row(arm.name, seed) for seed in study.seeds] for arm in arms}
        left_out: dict[str, list[int]] = {}
        for name, seed in others:
            if name in known and (extra := row(name, seed)).is_result:
                known[name].append(extra)
            else:
                left_out.setdefault(name, []).append(seed)
        rows = _due(study, arms, known)
        return cls(folder, study, arms, rows, {name: tuple(seeds) for name, seeds in left_out.items()})

    def __repr__(self) -> str:
        ended = sum(row.run is not None and row.run.is_result for row in self.rows)
        lines = [f"<Results of '{self.study.name}': {ended} of {len(self.rows)} runs have ended"]
        lines += [*(verdict.sentence for verdict in self.verdicts), *map(str, self.claims), *self.notes]
        return "\n  ".join(lines) + ">"

    def _repr_html_(self) -> str:
        ended = sum(row.run is not None and row.run.is_result for row in self.rows)
        failures = [
            f"{row.arm} seed {row.seed}: {row.state}" for row in self.rows if row.state not in {"finished", "missing"}
        ]
        report = self.folder / layout.REPORT
        return answer(
            Answer(
                question=self.study.question,
                status=f"{ended} of {len(self.rows)} runs have ended",
                verdicts=self.verdicts,
                lines=[*map(str, self.claims), *self.notes, *([short_list(failures)] if failures else [])],
                arms=tuple(self.arm_values.values()),
                metric=run_metric(self.study.metric).metric,
                matters=self.study.matters,
                page=str(report) if report.is_file() else "",
            )
        )

    def of(self, arm: str) -> tuple[RunRow, ...]:
        """The runs of one arm."""
        return tuple(row for row in self.rows if row.arm == arm)

    def validation_accuracies(self, arm: str) -> tuple[float, ...]:
        """In percent, seed by seed; of a run that diverged, that of a guess.

        Raises:
            StudyError: where a run failed.
        """
        accuracies = []
        for row in self.of(arm):
            if not row.is_result or row.summary is None:
                raise StudyError(f"{row.arm} seed {row.seed}: {row.state}: {row.reason}")
            value = row.validation_accuracy
            if row.state == "diverged" or value is None:
                data = row.data
                value = 100 * (data.chance if data and data.chance else 1 / row.summary.classes)
            accuracies.append(value)
        return tuple(accuracies)

    @cached_property
    def verdicts(self) -> tuple[Verdict, ...]:
        """One for each planned comparison."""
        return self.judge()

    def read_verdicts(self) -> None:
        """Read what they need now: the folder may be moved later."""
        _ = self.verdicts

    def judge(self, *, with_images: bool = True) -> tuple[Verdict, ...]:
        """The verdicts. Without images, fewer files are read, and what would hold on new images is not known."""
        metric, arms = run_metric(self.study.metric), _compared(self.study, self.arms)
        results = {arm.name: measured(arm, self.of(arm.name), metric, with_images=with_images) for arm in arms}
        return tuple(judge(self.study, judging(self.study, self.design), results))

    @cached_property
    def claims(self) -> tuple[ClaimVerdict, ...]:
        """The verdict on each claim of the study, in its order."""
        arms = tuple(arm.name for arm in self.arms)
        return judge_claims(self.study, arms, judging(self.study, self.design), self._measured())

    @cached_property
    def effects(self) -> tuple[Effect, ...]:
        """Main effects and interactions of a grid's factors."""
        return judge_effects(self.study, judging(self.study, self.design), self._measured(with_images=False))

    @cached_property
    def scale(self) -> ScaleResults | None:
        """Losses along the axis of a scale, and where the validation loss turns."""
        return judge_scale(self.study, judging(self.study, self.design), self._measured(with_images=False))

    def arm_table(self) -> list[dict[str, Any]]:
        """A row for each arm: means over the seeds that trained; accuracies in percent."""
        return [asdict(arm_facts(arm.name, self.of(arm.name))) for arm in self.arms]

    def _measured(self, *, with_images: bool = True) -> Callable[[str, RunMetric], ArmResults]:
        """What is known of an arm in a metric, each read once."""
        arms = {arm.name: arm for arm in self.arms}

        @cache
        def measured_in(arm: str, metric: RunMetric) -> ArmResults:
            return measured(arms[arm], self.of(arm), metric, with_images=with_images)

        return measured_in

    @cached_property
    def arm_values(self) -> dict[str, ArmResults]:
        """The study's metric of each arm by seed, without what is known of single images."""
        metric = run_metric(self.study.metric)
        return {arm.name: measured(arm, self.of(arm.name), metric, with_images=False) for arm in self.arms}

    def measured_accuracy(self, arm: str) -> ArmResults:
        """The test accuracy of an arm by seed, with which test images each run is right about."""
        return self._measured()(arm, run_metric(TEST_ACCURACY))

    @property
    def design(self) -> StudyDesign:
        """What was planned when the first run ended; before that, what the study file plans."""
        return self.study.design or self.study.plan_of(self.arms)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Those of all rows: the planned ones in their order, then the others."""
        seeds = {row.seed for row in self.rows}
        planned = tuple(seed for seed in self.study.seeds if seed in seeds)
        return (*planned, *sorted(seeds - set(planned)))

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the verdicts must know, a sentence each: changes of the plan, runs left out, classes left behind."""
        notes = [f"This is the study's size '{self.study.size}'{_settings(self.study)}."] if self.study.size else []
        notes += [
            f"The arm '{arm}' is left out, with its comparisons and claims: {reason}."
            for arm, reason in self.study.left_out.items()
        ]
        notes += [f"The plan was changed after the first results: {change}." for change in self.study.replanned]
        if self.study.found:
            notes.append(self.study.found.sentence)
        if not self.design.is_as_written:
            notes.append(
                "The design in the study's folder was edited: it does not have the hash that it was written with."
            )
        left_out = [self.left_out_text] if self.left_out else []
        return (*notes, *left_out, *filter(None, (self._small_class(arm.name) for arm in self.arms)))

    def _small_class(self, arm: str) -> str:
        """The least accurate class of an arm whose classes are of very unequal size; empty for any other."""
        rows = [row for row in self.of(arm) if row.class_accuracies and row.data and row.data.class_sizes]
        classes = next((row.data.classes for row in rows if row.data), ())
        if not classes:
            return ""
        columns = zip(*(row.class_accuracies for row in rows), strict=True)
        of_class = {name: [a for a in column if a is not None] for name, column in zip(classes, columns, strict=True)}
        means = {name: sum(accuracies) / len(accuracies) for name, accuracies in of_class.items() if accuracies}
        worst = min(means, key=lambda name: means[name])
        overall = sum(row.test_accuracy or 0 for row in rows) / len(rows)
        balanced = sum(means.values()) / len(means)
        return (
            f"{arm}: the test accuracy is {overall:.1f} %, the balanced accuracy {balanced:.1f} %, and that of "
            f"'{worst}', the least accurate class, {means[worst]:.1f} %."
        )

    @property
    def left_out_text(self) -> str:
        """The runs that the study's folder holds and its study file does not plan; empty if there are none."""
        if not self.left_out:
            return ""
        runs = short_list([f"{arm} ({seed_list(seeds)})" for arm, seeds in self.left_out.items()])
        return f"The folder holds runs that this study leaves out: {runs}."

    @property
    def failures(self) -> tuple[RunRow, ...]:
        """Runs that failed or diverged."""
        return tuple(row for row in self.rows if row.state in {"failed", "diverged"})

    @property
    def is_complete(self) -> bool:
        return all(row.run is not None and row.run.is_result for row in self.rows)

    def table(self) -> list[dict[str, Any]]:
        """A row for each planned run; accuracies in percent."""
        return [
            {
                "arm": row.arm,
                "seed": row.seed,
                "state": row.state,
                "test_accuracy": row.test_accuracy,
                "balanced_accuracy": row.balanced_accuracy,
                "validation_accuracy": row.validation_accuracy,
                "best_epoch": row.summary.best_epoch if row.summary else None,
                "epochs": row.epochs_done,
                "parameters": row.summary.parameters if row.summary else None,
                "seconds": row.summary.seconds if row.summary else None,
                "reason": row.reason,
                "stopped": row.summary.stopped if row.summary else "",
            }
            for row in self.rows
        ]


def _compared(study: Study, arms: Sequence[Arm]) -> list[Arm]:
    names = {name for comparison in study.comparisons for name in (comparison.first, comparison.second)}
    return [arm for arm in arms if arm.name in names]


def _due(study: Study, arms: Sequence[Arm], rows: Mapping[str, Sequence[RunRow]]) -> tuple[RunRow, ...]:
    """The rows that are due, and those of runs that are in the folder already."""
    if not study.looks:
        return tuple(row for arm in arms for row in rows[arm.name])
    metric = run_metric(study.metric)
    results = {arm.name: measured(arm, rows[arm.name], metric, with_images=False) for arm in _compared(study, arms)}
    design = judging(study, study.design or study.plan_of(arms))
    due = due_seeds(study, design, list(rows), results)
    return tuple(row for arm in arms for row in rows[arm.name] if row.seed in due[arm.name] or row.is_result)


def studies_in(folder: Path) -> Sequence[Path]:
    """The study folders in `folder`, or the folder itself when it is one."""
    if os.path.isfile(folder / layout.STUDY):
        return [folder]
    return sorted(path.parent for path in folder.glob(f"*/{layout.STUDY}"))


def _settings(study: Study) -> str:
    """The settings of data, network and recipe that its size or the command line changed."""
    words = {key: short(value) for key, value in study.overridden.items()}
    changed = ", ".join(
        f"{key}=({text})" if "=" in text and "(" not in text else f"{key}={text}" for key, text in words.items()
    )
    return f": {changed}" if changed else ""
