"""A study file, opened: what a notebook, a script and the command line hold.

study = load("batchnorm", "recipe.epochs=4", seeds=3)
results = study.run()
"""

import contextlib
import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from striate.core import config
from striate.core.config import Document, suggest
from striate.core.errors import ConfigError, StudyError
from striate.data import NAMES
from striate.runs import layout
from striate.runs.files import disk_errors, write_text
from striate.studies.execute.protocol import Event, Scheduler, Task
from striate.studies.plan import Plan, make_plan
from striate.studies.results import Results
from striate.studies.study import Arm, Study, read_study
from striate.tracking import check_installed

WEIGHTS = ("network.pretrained", "pretrained")
LIBRARY = Path(__file__).parent / "library"


@dataclass(frozen=True)
class LoadedStudy:
    """A checked study and the folder that its runs go to."""

    study: Study
    arms: tuple[Arm, ...]
    document: Document
    folder: Path

    def plan(self) -> Plan:
        """Every run and how far it is; reads the images (and may fetch or cache them), trains nothing."""
        return make_plan(self.study, self.arms, self.folder)

    def results(self) -> Results:
        """What is there already."""
        return Results.read(self.folder)

    def run(
        self,
        *,
        jobs: int | None = None,
        device: str = "auto",
        scheduler: Scheduler | None = None,
        on_plan: Callable[[Plan], None] = lambda plan: None,
        on_event: Callable[[Event], None] | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Results:
        """Train what is missing and return the results. `jobs`: runs at once, None chooses.

        `on_plan` is told the plan before the first run starts, `on_event` what happens from then on;
        without it, what a user should know (a logger that failed) is a warning once the runs are done.

        Raises:
            StudyError: when another process runs this study.
            MissingExtra: when a logger's package is not installed.
        """
        from striate.studies.execute.machine import local_scheduler

        check_installed(self.study.log)
        notes: set[str] = set()
        with contextlib.ExitStack() as held:
            # Before the plan, which another process may be changing; but what is refused leaves no folder behind.
            is_new = not self.folder.exists()
            if not is_new:
                held.enter_context(self._locked())
            if scheduler:
                self.check_engines(device)
            plan = self.plan()
            chosen = scheduler or held.enter_context(local_scheduler(plan, jobs, device, should_stop))
            if is_new:
                held.enter_context(self._locked())
            self._write_study(plan)
            on_plan(plan)
            tasks = [Task(run.label, run.job, run.folder, self.study.log) for run in plan.missing]
            # Closed whatever happens: no run may go on after the lock is released.
            with contextlib.closing(chosen.run(tasks, should_stop)) as events:
                for event in events:
                    if on_event:
                        on_event(event)
                    elif event.kind == "note":
                        notes.add(event.data["text"])
        for text in sorted(notes):
            warnings.warn(text, stacklevel=2)
        return self.results()

    def check_engines(self, device: str = "auto") -> None:
        """Let each arm's engine look at its recipe and network.

        Raises:
            StriateError: for what the engine does not have, an optimizer's argument or a layer, or for an engine that is not there.
        """
        from striate.engines.select import check

        for arm in self.arms:
            with arm.named():
                check(arm.recipe, arm.network, device)

    def _write_study(self, plan: Plan) -> None:
        """The study as it is run, overrides and name in it, so that its folder can be read and run alone."""
        data = {**self.document.data, "name": self.study.name}
        if changed := plan.replanned():
            data["replanned"] = list(changed)
        write_text(self.folder / layout.STUDY, config.dump(data))

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


def load(source: str | Path, *overrides: str, seeds: int | None = None, out: str | Path = "runs") -> LoadedStudy:
    """A study file, or a built-in study by its name, with `key.sub=value` overrides.

    Raises:
        ConfigError: for the first thing wrong, with its place.
    """
    path = _find(source)
    document = _anchored(config.read(path), path.parent)
    changes = [_from_here(text) for text in overrides] + ([f"seeds={seeds}"] if seeds is not None else [])
    study, arms, document = read_study(document, changes)
    is_kept = path.name == layout.STUDY and Path(source).is_dir()  # a study's own folder: its runs are there
    return LoadedStudy(study, arms, document, path.parent if is_kept else Path(out) / layout.slug(study.name))


def built_in() -> dict[str, Study]:
    """The studies that come with Striate, by name."""
    return {path.stem: read_study(config.read(path))[0] for path in sorted(LIBRARY.glob("*.yaml"))}


def _find(source: str | Path) -> Path:
    path = Path(source)
    if path.is_dir() and (path / layout.STUDY).is_file():
        return path / layout.STUDY
    if path.suffix in {".yaml", ".yml"} or path.is_file():
        return path
    names = [found.stem for found in LIBRARY.glob("*.yaml")]
    if str(source) in names:
        return LIBRARY / f"{source}.yaml"
    raise ConfigError(f"{source}: is no file and no built-in study; {suggest(str(source), names)}")


def _anchored(document: Document, folder: Path) -> Document:
    """Relative paths to images and to weights are meant from the study file."""
    data = copy.deepcopy(document.data)
    for owner, key in _sources(data):
        owner[key] = _absolute(owner[key], folder)
    return Document(data, document.name, document.places)


def _sources(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a study's data that names a source of images or a file of weights, as (what holds it, its key)."""
    if isinstance(data, dict):
        for key, value in data.items():
            if key in {"data", "data.source", "source", *WEIGHTS} and isinstance(value, str):
                yield data, key
            elif key in {"data", "data.source"} and isinstance(value, list):  # a factor of a grid
                yield from ((value, index) for index, item in enumerate(value) if isinstance(item, str))
            elif key in {"data", "arms"} or isinstance(value, dict):
                yield from _sources(value)


def _absolute(source: str, folder: Path) -> str:
    if source in NAMES:
        return source
    return str((folder / source).resolve()) if (folder / source).exists() else source


def _from_here(text: str) -> str:
    """A path given on the command line is meant from the working directory."""
    key, sign, value = text.partition("=")
    is_path = key in {"data", "data.source", *WEIGHTS} and sign and value
    return f"{key}={_absolute(value, Path.cwd())}" if is_path else text
