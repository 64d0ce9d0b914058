"""The trials of a search, by Optuna. Its storage is one file in the study's folder, so a search that was stopped resumes.

A trial is chosen by validation accuracy alone; this module never sees a test accuracy. Each suggestion depends on the finished
trials and its own number, so a search that was stopped resumes as if it had not been.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from striate.core.errors import StriateError, StudyError
from striate.core.optional import require
from striate.core.records import fingerprint
from striate.studies.search_space import Candidate, Found, Search, Span

STORAGE = "trials.log"
# For each trial: settings that were suggested before cost nothing, and a small space has no others.
MOST_SUGGESTIONS = 5
# The accuracies of a trial, in percent by seed; None where the user wants to stop.
Train = Callable[[int, Mapping[str, Any]], tuple[float, ...] | None]


def find(
    search: Search, settings: str, folder: Path, train: Train
) -> tuple[Found, dict[str, Any], dict[str, Any]] | None:
    """What was found, with the settings of the winner and of the runner-up; None where the user stopped the search.

    `settings` identifies all that the trials share. `train` runs one trial.

    Raises:
        StudyError: for a storage of another search, or if fewer than two settings could be run.
        MissingExtra: when Optuna is not installed.
    """
    trials = _Trials(search, settings, folder)
    while (trial := trials.next()) is not None:
        changes = trials.changes(trial)
        known = trials.known(trial)
        if known is None:
            try:
                known = train(trial.number, changes)
            except StriateError as error:
                trials.fail(trial, str(error))
                continue
            if known is None:
                return None
        trials.finish(trial, known)
    return trials.best()


class _Trials:
    """The trials in the storage."""

    def __init__(self, search: Search, settings: str, folder: Path) -> None:
        self.search = search
        self.optuna: Any = require("optuna", extra="search", why="A study with 'search'")
        from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

        self.optuna.logging.set_verbosity(self.optuna.logging.WARNING)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / STORAGE
        # The study's folder is locked, so a lock that is left is that of a process that was killed.
        path.with_name(path.name + ".lock").unlink(missing_ok=True)
        backend = JournalFileBackend(str(path), lock_obj=JournalFileOpenLock(str(path)))
        storage = self.optuna.storages.JournalStorage(backend)
        self.study = self.optuna.create_study(
            study_name="search", storage=storage, direction="maximize", load_if_exists=True
        )
        # More trials may be added; anything else makes the finished ones worthless.
        identity = fingerprint(settings, search.model_dump(mode="json", exclude={"trials"}))
        if self.study.user_attrs.setdefault("settings", identity) != identity:
            raise StudyError(
                f"{path}: holds the trials of other settings; choose another --out, give the study another name (name=...), "
                "or remove that folder"
            )
        self.study.set_user_attr("settings", identity)

    def next(self) -> Any:
        """The trial that was stopped, else a new one; None once there are enough."""
        for trial in self.study.get_trials(deepcopy=False):
            if trial.state == self._state("RUNNING"):
                if trial.params.keys() == self.search.space.keys():
                    return trial
                self.study.tell(trial.number, state=self._state("FAIL"))
        every = self.study.get_trials(deepcopy=False)
        number = len(every)
        if len(_different(every)) >= self.search.trials or number >= MOST_SUGGESTIONS * self.search.trials:
            return None
        seed = int(fingerprint("search", self.search.seed, number), 16) % 2**32
        self.study.sampler = self.optuna.samplers.TPESampler(seed=seed)
        return self.study.ask(self._distributions())

    def changes(self, trial: Any) -> dict[str, Any]:
        """The settings of a trial, by key; of a list its value."""
        settings = {}
        for key, values in self.search.space.items():
            value = trial.params[key]
            settings[key] = value if isinstance(values, Span) else values[int(value)]
        return settings

    def known(self, trial: Any) -> tuple[float, ...] | None:
        """The accuracies of an earlier trial with the same settings, which would be the same again."""
        for other in self._complete():
            if other.params == trial.params and other.number != trial.number:
                return tuple(other.user_attrs["accuracies"])
        return None

    def finish(self, trial: Any, accuracies: tuple[float, ...]) -> None:
        self._set(trial, "accuracies", list(accuracies))
        self.study.tell(trial.number, statistics.fmean(accuracies))

    def fail(self, trial: Any, reason: str) -> None:
        self._set(trial, "reason", reason)
        self.study.tell(trial.number, state=self._state("FAIL"))

    def best(self) -> tuple[Found, dict[str, Any], dict[str, Any]]:
        """The two best different settings.

        Raises:
            StudyError: if there are no two.
        """
        complete = _different(self._complete())
        ranked = sorted(complete, key=lambda trial: (-trial.value, trial.number))
        others = [trial for trial in ranked if trial.params != ranked[0].params]
        failed = [trial for trial in self.study.get_trials(deepcopy=False) if trial.state == self._state("FAIL")]
        if not others:
            reasons = [trial.user_attrs["reason"] for trial in failed if "reason" in trial.user_attrs]
            why = f": {reasons[0]}" if reasons else ""
            raise StudyError(f"search: needs two different settings that can be run, got {len(ranked[:1])}{why}")
        found = Found(
            trials=len(complete), failed=len(failed), winner=_candidate(ranked[0]), runner_up=_candidate(others[0])
        )
        return found, self.changes(ranked[0]), self.changes(others[0])

    def _complete(self) -> list[Any]:
        return [trial for trial in self.study.get_trials(deepcopy=False) if trial.state == self._state("COMPLETE")]

    def _state(self, name: str) -> Any:
        return self.optuna.trial.TrialState[name]

    def _set(self, trial: Any, key: str, value: Any) -> None:
        self.study._storage.set_trial_user_attr(trial._trial_id, key, value)

    def _distributions(self) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, values in self.search.space.items():
            if not isinstance(values, Span):
                made[key] = self.optuna.distributions.CategoricalDistribution(list(range(len(values))))
            elif values.is_whole:
                made[key] = self.optuna.distributions.IntDistribution(values.low, values.high, log=values.log)
            else:
                made[key] = self.optuna.distributions.FloatDistribution(values.low, values.high, log=values.log)
        return made


def _different(trials: Sequence[Any]) -> list[Any]:
    """The first trial of each setting."""
    return [trial for n, trial in enumerate(trials) if all(trial.params != earlier.params for earlier in trials[:n])]


def _candidate(trial: Any) -> Candidate:
    return Candidate(
        trial=trial.number, validation_accuracy=trial.value, accuracies=tuple(trial.user_attrs["accuracies"])
    )
