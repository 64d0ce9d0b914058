"""What a study's folder holds, as rows and verdicts. Reads files, trains nothing, needs no torch."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from striate.core import config
from striate.core.errors import ConfigError, StudyError
from striate.runs import DataFacts, Run, Summary, layout, read
from striate.studies.study import Arm, Study, read_study
from striate.studies.verdict import ArmResults, Verdict, judge


@dataclass(frozen=True)
class RunRow:
    """One planned run: as far as it came."""

    arm: str
    seed: int
    run: Run | None  # None: nothing of it is there

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

    @property
    def is_at_chance(self) -> bool:
        return self.summary is not None and self.summary.at_chance

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
    def validation_accuracy(self) -> float | None:
        """In percent, at the best epoch by validation."""
        share = self.summary.validation_accuracy if self.summary else None
        return None if share is None else 100 * share


@dataclass(frozen=True)
class Results:
    """A study and every run of it. Read with `Results.read(folder)`."""

    folder: Path
    study: Study
    arms: tuple[Arm, ...]
    rows: tuple[RunRow, ...]  # arm by arm in the study's order, seed by seed

    @classmethod
    def read(cls, folder: Path | str) -> "Results":
        """The results in a study's folder, complete or not.

        Raises:
            StudyError: when the folder is no study's.
        """
        folder = Path(folder)
        if not (folder / layout.STUDY).is_file():
            raise StudyError(f"{folder}: holds no study (no {layout.STUDY}); give the folder that 'striate run' named")
        try:
            study, arms, _ = read_study(config.read(folder / layout.STUDY))
        except ConfigError as error:
            raise StudyError(f"{folder}: its study file is broken: {error}") from error
        rows = tuple(RunRow(arm.name, seed, _run(folder, arm.name, seed)) for arm in arms for seed in study.seeds)
        return cls(folder, study, arms, rows)

    def of(self, arm: str) -> tuple[RunRow, ...]:
        """The runs of one arm."""
        return tuple(row for row in self.rows if row.arm == arm)

    @cached_property
    def verdicts(self) -> tuple[Verdict, ...]:
        """One for each planned comparison."""
        pairs = [(self._measured(c.first), self._measured(c.second)) for c in self.study.comparisons]
        return tuple(judge(pairs, self.study.matters))

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

    def _arm(self, name: str) -> Arm:
        return next(arm for arm in self.arms if arm.name == name)

    def _measured(self, arm: str) -> ArmResults:
        rows = self.of(arm)
        return ArmResults(
            arm=arm,
            accuracy={row.seed: row.test_accuracy for row in rows if row.test_accuracy is not None},
            missing={row.seed: row.state for row in rows if row.test_accuracy is None},
            diverged=sum(row.state == "diverged" for row in rows),
            at_chance=sum(row.is_at_chance for row in rows),
            test_images=min(
                (row.summary.test_images for row in rows if row.summary and row.state == "finished"), default=0
            ),
            declares_data=any(key.split(".")[0] == "data" for key in self._arm(arm).changes),
            test_digest=" ".join(
                sorted({row.data.test_digest for row in rows if row.data and row.state == "finished"})
            ),
        )

    def _repr_html_(self) -> str:
        verdicts = "".join(f"<li>{html.escape(verdict.sentence)}</li>" for verdict in self.verdicts)
        table = self.table()
        head = "".join(f"<th>{name.replace('_', ' ')}</th>" for name in table[0])
        body = "".join(
            f"<tr>{''.join(f'<td>{html.escape(_cell(value))}</td>' for value in row.values())}</tr>" for row in table
        )
        question = html.escape(self.study.question)
        return f"<p><b>{question}</b></p><ul>{verdicts}</ul><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _run(folder: Path, arm: str, seed: int) -> Run | None:
    place = layout.run_folder(folder, arm, seed)
    return read(place) if (place / layout.RUN).exists() else None


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def studies_in(folder: Path) -> Sequence[Path]:
    """The study folders in `folder`, or the folder itself when it is one."""
    if (folder / layout.STUDY).is_file():
        return [folder]
    return sorted(path.parent for path in folder.glob(f"*/{layout.STUDY}"))
