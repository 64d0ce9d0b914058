"""The results of a study: the runs in its folder as rows, and the verdicts. Files are read; torch is not needed."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from striate.core import config
from striate.core.errors import ConfigError, StudyError
from striate.runs import DataFacts, Run, Summary, layout, read
from striate.studies.display import page
from striate.studies.study import Arm, Study, read_study
from striate.verdicts import ArmResults, Design, Verdict, compare
from striate.verdicts.outcomes import is_at_chance
from striate.verdicts.wording import seed_list, short_list


@dataclass(frozen=True, repr=False)
class RunRow:
    """One planned run; `run` is None where nothing of it is in the folder."""

    arm: str
    seed: int
    run: Run | None

    def __repr__(self) -> str:
        accuracy = "" if self.test_accuracy is None else f", {self.test_accuracy:.2f} % test accuracy"
        return f"<RunRow {self.arm} seed {self.seed}: {self.state}{accuracy}>"

    @property
    def state(self) -> str:
        """finished, diverged, failed, unfinished or missing."""
        return self.run.state if self.run else "missing"

    @property
    def summary(self) -> Summary | None:
        """How the run ended; None while it has not."""
        return self.run.summary if self.run else None

    @property
    def data(self) -> DataFacts | None:
        """The images that the run used; None where it did not come so far."""
        return self.summary.data if self.summary else None

    @property
    def reason(self) -> str:
        """Why the run failed or diverged, or why it may have stayed at chance."""
        return self.summary.reason if self.summary else ""

    @cached_property
    def is_at_chance(self) -> bool:
        """Whether it finished, and tells the classes apart no better than a guess, on all validation and test images."""
        summary = self.summary
        if summary is None or summary.state != "finished":
            return False
        tables = [scores.confusion for scores in (summary.validation, summary.test) if scores and scores.confusion]
        if not tables:
            return summary.at_chance
        return is_at_chance([[sum(cells) for cells in zip(*rows, strict=True)] for rows in zip(*tables, strict=True)])

    @property
    def failure(self) -> Literal["", "diverged", "at chance"]:
        """How the run ended without learning; empty where it learned, or has not ended."""
        if self.state == "diverged":
            return "diverged"
        return "at chance" if self.is_at_chance else ""

    @property
    def trained(self) -> bool:
        """Whether it finished and learned something: its accuracy takes part in verdicts and means."""
        return self.state == "finished" and not self.is_at_chance

    @property
    def epochs_done(self) -> int:
        return len(self.run.metrics) if self.run else 0

    @property
    def test_accuracy(self) -> float | None:
        """In percent. A network that diverged is no network: it counts as chance, the share of the commonest class."""
        if self.summary is None:
            return None
        share = self.summary.test_accuracy
        if self.state == "diverged":
            data = self.summary.data
            share = 1 / self.summary.classes if data is None or data.chance is None else data.chance
        return None if share is None else 100 * share

    @property
    def class_accuracies(self) -> tuple[float | None, ...]:
        """Of the test images of each class, in percent; None for a class without any. Empty without a result."""
        scores = self.summary.test if self.summary else None
        return tuple(None if share is None else 100 * share for share in scores.per_class) if scores else ()

    @property
    def balanced_accuracy(self) -> float | None:
        """The mean test accuracy of the classes, in percent: each counts alike, however large it is."""
        known = [accuracy for accuracy in self.class_accuracies if accuracy is not None]
        return sum(known) / len(known) if known else None

    @property
    def validation_accuracy(self) -> float | None:
        """In percent, at the best epoch by validation."""
        share = self.summary.validation_accuracy if self.summary else None
        return None if share is None else 100 * share


@dataclass(frozen=True, repr=False)
class Results:
    """A study and its runs. `rows` has every planned run, arm by arm in the study's order, seed by seed."""

    folder: Path
    study: Study
    arms: tuple[Arm, ...]
    rows: tuple[RunRow, ...]
    left_out: Mapping[str, tuple[int, ...]]
    """The seeds of runs that are in the folder and that the study file does not plan, by arm (or its folder's name)."""

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

        rows = tuple(row(arm.name, seed) for arm in arms for seed in study.seeds)
        return cls(folder, study, arms, rows, _left_out(folder, study, arms))

    def __repr__(self) -> str:
        ended = sum(row.run is not None and row.run.is_result for row in self.rows)
        lines = [f"<Results of '{self.study.name}': {ended} of {len(self.rows)} runs have ended"]
        lines += [*(verdict.sentence for verdict in self.verdicts), *self.notes]
        return "\n  ".join(lines) + ">"

    def _repr_html_(self) -> str:
        sentences = [*(verdict.sentence for verdict in self.verdicts), *self.notes]
        rows = self.table()
        return page(
            self.study.question, sentences, [name.replace("_", " ") for name in rows[0]], [row.values() for row in rows]
        )

    def of(self, arm: str) -> tuple[RunRow, ...]:
        """The runs of one arm."""
        return tuple(row for row in self.rows if row.arm == arm)

    @cached_property
    def verdicts(self) -> tuple[Verdict, ...]:
        """One for each planned comparison."""
        compared = {name for comparison in self.study.comparisons for name in (comparison.first, comparison.second)}
        measured = {arm.name: self._measured(arm) for arm in self.arms if arm.name in compared}
        pairs = [(measured[comparison.first], measured[comparison.second]) for comparison in self.study.comparisons]
        return tuple(compare(pairs, Design(matters=self.study.matters, seeds=self.study.seeds)))

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the verdicts must know, a sentence each: changes of the plan, runs left out, classes left behind."""
        changes = (f"The plan was changed after the first results: {change}." for change in self.study.replanned)
        left_out = [self.left_out_text] if self.left_out else []
        return (*changes, *left_out, *filter(None, (self._small_class(arm.name) for arm in self.arms)))

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

    def _measured(self, arm: Arm) -> ArmResults:
        rows = self.of(arm.name)
        finished = [row.summary for row in rows if row.summary and row.state == "finished"]
        failures = {row.seed: row.failure for row in rows if row.failure}
        return ArmResults(
            arm=arm.name,
            values={row.seed: row.test_accuracy for row in rows if row.trained and row.test_accuracy is not None},
            failures=failures,
            missing={row.seed: row.state for row in rows if not row.trained and not row.failure},
            test_images=min((summary.test_images for summary in finished), default=0),
            declares_data=any(key.split(".")[0] == "data" for key in arm.changes),
            test_digest=" ".join(sorted({summary.data.test_digest for summary in finished if summary.data})),
        )


def _left_out(folder: Path, study: Study, arms: Sequence[Arm]) -> dict[str, tuple[int, ...]]:
    names = {layout.slug(arm.name): arm.name for arm in arms}
    seeds: dict[str, list[int]] = {}
    for arm_folder, seed in layout.runs_in(folder):
        if arm_folder not in names or seed not in study.seeds:
            seeds.setdefault(names.get(arm_folder, arm_folder), []).append(seed)
    return {name: tuple(sorted(numbers)) for name, numbers in sorted(seeds.items())}


def studies_in(folder: Path) -> Sequence[Path]:
    """The study folders in `folder`, or the folder itself when it is one."""
    if os.path.isfile(folder / layout.STUDY):
        return [folder]
    return sorted(path.parent for path in folder.glob(f"*/{layout.STUDY}"))
