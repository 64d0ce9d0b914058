"""A study file that was loaded: what a notebook, a script and the command line work with.

study = load("does-batchnorm-help", size="small")
results = study.run()
"""

import contextlib
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import filelock

from striate.core import config
from striate.core.config import Document, suggest
from striate.core.errors import ConfigError, RunError, StudyError
from striate.core.records import fingerprint
from striate.data import is_named
from striate.engines.precision import PrecisionChoice
from striate.nets.user_code import beside
from striate.runs import layout, read
from striate.runs.files import disk_errors, write_text
from striate.runs.reader import read_summary
from striate.studies.display import page
from striate.studies.execute.on_ray.options import RayOptions
from striate.studies.execute.protocol import Event, Note, Scheduler, Task
from striate.studies.optional_arms import missing_arms, without_arms
from striate.studies.plan import Plan, make_plan
from striate.studies.results import Results
from striate.studies.search import find
from striate.studies.search_space import RUNNER_UP, WINNER
from striate.studies.sizes import PARTS
from striate.studies.stages import new_looks
from striate.studies.study import Arm, Study, read_study
from striate.tracking import check_installed
from striate.verdicts.wording import seed_list, short_list

# The keys whose values are paths to images or to a file of weights, and the one whose value is a module in a folder.
PATHS = {"data", "data.source", "network.pretrained"}
MODULE = "network.import"
LIBRARY = Path(__file__).parent / "library"


@dataclass(frozen=True, repr=False)
class LoadedStudy:
    """A study file that was read and checked, and the folder of its runs."""

    study: Study
    arms: tuple[Arm, ...]
    document: Document
    folder: Path

    def __repr__(self) -> str:
        return "\n  ".join([f"<LoadedStudy '{self.study.name}': {self.study.question}", *self._facts()]) + ">"

    def _repr_html_(self) -> str:
        rows = [(arm.name, arm.variation) for arm in self.arms]
        return page(self.study.question, self._facts(), ["arm", "changes"], rows)

    def _facts(self) -> list[str]:
        """What is varied, and how many runs have ended, in a line each."""
        keys = list(dict.fromkeys(key for arm in self.arms for key in arm.changes))
        arms = short_list([arm.name for arm in self.arms])
        comparisons = short_list([str(comparison) for comparison in self.study.comparisons])
        most = "at most " if self.study.looks else ""
        return [
            f"{len(self.arms)} arm{'s' * (len(self.arms) > 1)}: {arms}",
            f"varied: {', '.join(keys) or 'nothing'}",
            seed_list(self.study.seeds),
            f"comparisons: {comparisons or 'none'}",
            f"{self._ended()} of {most}{len(self.arms) * len(self.study.seeds)} runs have ended, in {self.folder}",
        ]

    def _ended(self) -> int:
        """How many planned runs have a result. They are not compared with the study's settings; `plan` does that."""
        ended = 0
        for arm in self.arms:
            for seed in self.study.seeds:
                with contextlib.suppress(RunError):
                    summary = read_summary(layout.run_folder(self.folder, arm.name, seed))
                    ended += summary is not None and summary.state != "failed"
        return ended

    def plan(self) -> Plan:
        """Every run and its state. Reads the images (and may download or cache them); trains nothing."""
        return make_plan(self.study, self.arms, self.folder)

    def results(self) -> Results:
        """The results that are in the folder."""
        return Results.read(self.folder)

    def run(
        self,
        *,
        jobs: int | None = None,
        device: str = "auto",
        on: str | RayOptions = "here",
        scheduler: Scheduler | None = None,
        on_plan: Callable[[Plan], None] = lambda plan: None,
        on_event: Callable[[Event], None] | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Results:
        """Train the missing runs and return the results. `jobs`: runs at once; None chooses.

        `on`: "here", by processes of this machine; "ray" or "ray://HOST:PORT", on a Ray cluster, which `RayOptions` describes further.
        `on_plan` gets the plan before the first run starts, and again before those of each further look; `on_event` each event
        from then on. Without `on_event`, notes for the user (a logger that failed) are warnings once the runs have ended.

        Raises:
            StudyError: when another process runs this study.
            MissingExtra: when a logger's package is not installed.
        """
        from striate.studies.execute import where

        options: dict[str, Any] = {
            "jobs": jobs,
            "device": device,
            "on": on,
            "scheduler": scheduler,
            "on_plan": on_plan,
            "on_event": on_event,
        }
        if self.study.is_searching:
            with where.connection(on):
                found = self._search(**options, should_stop=should_stop)
                return found.run(**options, should_stop=should_stop) if found else self.results()
        check_installed(self.study.log)
        notes: set[str] = set()

        def note(event: Event) -> None:
            if isinstance(event, Note):
                notes.add(event.text)

        with contextlib.ExitStack() as stack:
            # The lock comes before the plan, which another process may be changing; a study that is refused leaves no folder.
            is_new = not self.folder.exists()
            if not is_new:
                stack.enter_context(self._locked())
            if scheduler:
                self.check_engines(device)
            plan = self.plan()
            chosen = scheduler or stack.enter_context(where.open_scheduler(plan, on, jobs, device, should_stop))
            if is_new:
                stack.enter_context(self._locked())
            study = self._write_study(plan)
            choose = partial(where.choose_precision, scheduler=chosen, device=device, should_stop=should_stop)
            plan = self._train(plan, chosen, choose, on_plan, on_event or note, should_stop)
            results = self._look(study, plan)
        for text in sorted(notes):
            warnings.warn(text, stacklevel=2)
        return results

    def _train(
        self,
        plan: Plan,
        scheduler: Scheduler,
        choose_precision: Callable[[Plan], PrecisionChoice | None],
        on_plan: Callable[[Plan], None],
        on_event: Callable[[Event], None],
        should_stop: Callable[[], bool],
    ) -> Plan:
        """Train what is due; with planned looks, look by look until none is. Each run is tried once."""
        tried: set[Path] = set()
        precision = None
        while True:
            on_plan(plan)
            precision = precision or choose_precision(plan)
            runs = [run for run in plan.missing if run.folder not in tried]
            tried |= {run.folder for run in runs}
            tasks = [Task(run.label, run.job, run.folder, self.study.log, precision) for run in runs]
            # Closed whatever happens: no run may train after the lock is released.
            with contextlib.closing(scheduler.run(tasks, should_stop)) as events:
                for event in events:
                    on_event(event)
            plan = plan.after({run.folder: read(run.folder) for run in runs if run.has_begun})
            if should_stop() or all(run.folder in tried for run in plan.missing):
                return plan

    def _search(self, *, should_stop: Callable[[], bool], **options: Any) -> "LoadedStudy | None":
        """The study with the two best settings as its arms; None where the user stopped the search."""
        search = self.study.search
        assert search
        shared = {key: value for key, value in self.document.data.items() if key in {"question", *PARTS}}

        def train(number: int, changes: Mapping[str, Any]) -> tuple[float, ...] | None:
            name = f"{self.study.name} trial {number}"
            arms = {"name": name, "seeds": list(search.run_seeds), "arms": {"trial": dict(changes)}, "compare": []}
            study, made, document = read_study(replace(self.document, data={**shared, **arms}))
            trial = LoadedStudy(study, made, document, self.folder / layout.SEARCH / f"trial-{number:04d}")
            results = trial.run(**options, should_stop=should_stop)
            return None if should_stop() else results.validation_accuracies("trial")

        with self._locked():
            self._write(self.study)
            settings = fingerprint(self.study.data, self.study.network, self.study.recipe)
            outcome = find(search, settings, self.folder / layout.SEARCH, train)
        if outcome is None:
            return None
        found, winner, runner_up = outcome
        arms = {WINNER: winner, RUNNER_UP: runner_up}
        more = {"arms": arms, "compare": [f"{WINNER} - {RUNNER_UP}"], "found": found.model_dump(mode="json")}
        document = replace(self.document, data={**self.document.data, "name": self.study.name, **more})
        study, made, document = read_study(document)
        return LoadedStudy(study, made, document, self.folder)

    def check_engines(self, device: str = "auto") -> None:
        """Let each arm's engine check its recipe and network; optional arms that it lacks have been left out.

        Raises:
            StriateError: for an optimizer's argument or a layer that the engine does not have, or an engine that is not installed.
        """
        from striate.engines.select import check

        for arm in self.arms:
            if arm.name not in self.study.optional:
                with arm.error_context():
                    check(arm.recipe, arm.network, device)

    def fetch_weights(self) -> None:
        """Download the published weights that arms start from, unless they are here.

        Raises:
            MissingWeights: when they cannot be downloaded.
        """
        from striate.engines.select import fetch_weights

        arms = [arm for arm in self.arms if arm.network.torchvision and arm.network.pretrained is True]
        if arms:
            self.plan()  # what is wrong with the images is told before a download
        for arm in arms:
            with arm.error_context():
                fetch_weights(arm.network)

    def _write_study(self, plan: Plan) -> Study:
        """Write the study as it is run, with overrides and name, so that its folder can be read and run alone."""
        is_new = plan.previous is None or not plan.has_results
        looks = () if plan.previous is None or is_new else plan.previous.looks_taken
        return self._write(self.study.replace(design=plan.design, replanned=plan.replanned(), looks_taken=looks))

    def _write(self, study: Study) -> Study:
        data = {**self.document.data, "name": study.name}
        for key in ("replanned", "design", "looks_taken"):
            data.pop(key, None)
            if content := study.model_dump(mode="json", include={key}, exclude_defaults=True):
                data |= content
        write_text(self.folder / layout.STUDY, config.dump(data))
        return study

    def _look(self, study: Study, plan: Plan) -> Results:
        """The results, once what was judged for the first time is written down."""
        finished = {run.folder: run.run for run in plan.runs if run.run and run.state == "done"}
        results = Results.collect(self.folder, study, self.arms, finished)
        if looks := new_looks(study, results.judge(with_images=False)):
            study = self._write(study.replace(looks_taken=(*study.looks_taken, *looks)))
            results = replace(results, study=study)
        results.read_verdicts()
        return results

    @contextmanager
    def _locked(self) -> Iterator[None]:
        lock = filelock.FileLock(self.folder / layout.LOCK)
        try:
            with disk_errors(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                lock.acquire(timeout=0)
        except filelock.Timeout as error:
            raise StudyError(
                f"{self.folder}: another process is running this study; wait for it, or choose another --out"
            ) from error
        try:
            yield
        finally:
            lock.release()


def load(
    source: str | Path, *overrides: str, seeds: int | None = None, size: str = "", out: str | Path = "runs"
) -> LoadedStudy:
    """A study file, or a built-in study by its name, with `key.sub=value` overrides, at one of its `sizes`.

    Raises:
        ConfigError: for the first error, with its location.
    """
    if not str(out).strip():
        raise ConfigError("--out: must name a folder, got ''")
    path = _find(source)
    changes = dict(_read_override(text) for text in overrides)
    if seeds is not None:
        changes["seeds"] = seeds
    is_study_folder = path.name == layout.STUDY and Path(source).is_dir()
    study, arms, document = read_study(_resolve_paths(config.read(path), path.parent), changes, size)
    if is_study_folder and size and not _is_of_size(path, size):
        raise ConfigError(f"{source}: is no folder of size '{size}'; give --size with the study's file or name")
    # Runs of two sizes differ in their settings, so each size has a folder of its own.
    folder = (
        path.parent if is_study_folder else Path(out) / layout.slug("-".join(filter(None, (study.name, study.size))))
    )
    with disk_errors(folder):
        folder.exists()  # raises for a name that is too long, say
    if missing := missing_arms(study, arms, folder):
        study, arms, document = read_study(without_arms(document, study, missing))
    return LoadedStudy(study, arms, document, folder)


def _is_of_size(path: Path, size: str) -> bool:
    return config.read(path).data.get("size") == size


def built_in() -> dict[str, Study]:
    """The studies that come with Striate, by name."""
    return {path.stem: read_study(config.read(path))[0] for path in sorted(LIBRARY.glob("*.yaml"))}


# What built-in studies were called in the first version of the code.
FORMER_NAMES = {
    "activation": "which-activation",
    "adaptive-rate": "constant-or-adaptive-rate",
    "batchnorm": "does-batchnorm-help",
    "batchnorm-early": "does-batchnorm-help-early",
    "engines": "numpy-or-torch",
    "momentum": "does-momentum-help",
    "recipe-d": "which-parts-matter",
}


def _find(source: str | Path) -> Path:
    path = Path(source)
    if os.path.isfile(path / layout.STUDY):
        return path / layout.STUDY
    if path.suffix in {".yaml", ".yml"} or os.path.isfile(path):
        return path
    names = [file.stem for file in LIBRARY.glob("*.yaml")]
    name = FORMER_NAMES.get(str(source), str(source))
    if name in names:
        return LIBRARY / f"{name}.yaml"
    raise ConfigError(f"{source}: is no file and no built-in study; {suggest(str(source), names)}")


def _resolve_paths(document: Document, folder: Path) -> Document:
    """Paths to images, weights and modules in a study file are relative to its folder; a module may be in the working directory too."""
    return replace(document, data={key: _resolve(value, (key,), folder) for key, value in document.data.items()})


def _read_override(text: str) -> tuple[str, Any]:
    """Paths on the command line are relative to the working directory."""
    key, _, path = text.partition("=")
    if key in PATHS and path and os.path.exists(path):
        return key, _absolute(path, Path.cwd())  # as it is: it may have characters that mean something in YAML
    key, value = config.assignment(text)
    return key, _resolve(value, tuple(key.split(".")), Path.cwd())


def _resolve(value: Any, keys: tuple[str, ...], folder: Path) -> Any:
    """The value at `keys` of a study file, with its paths made absolute."""
    if keys[0] == "sizes" and len(keys) > 2:  # a size has the keys of a study again
        return _resolve(value, keys[2:], folder)
    if isinstance(value, dict):
        return {key: _resolve(item, (*keys, str(key)), folder) for key, item in value.items()}
    if isinstance(value, list) and (keys[0] in {"grid", "scale"} or keys[:2] == ("search", "space")):
        return [_resolve(item, keys, folder) for item in value]
    # An arm, a grid, a scale and a search have the keys of the base again.
    key = ".".join(keys[{"arms": 2, "grid": 1, "scale": 1, "search": 2}.get(keys[0], 0) :])
    if isinstance(value, str) and key == MODULE:
        return beside(value, (folder, Path.cwd()))
    return _absolute(value, folder) if isinstance(value, str) and key in PATHS else value


def _absolute(source: str, folder: Path) -> str:
    if is_named(source, folder):
        return source
    path = folder / source
    # Not Path.exists, which raises for a name that is too long, or a folder that may not be read.
    return str(path.resolve()) if os.path.exists(path) else source
