"""`striate train`: the study of a folder is made, run within the time, and its best network is kept as a model."""

import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from striate.core.errors import MissingExtra, StriateError, StudyError
from striate.core.processes import cpu_count
from striate.core.records import check_name
from striate.deploy import model_file
from striate.deploy.export import Exported, export
from striate.deploy.trained import Trained
from striate.runs import layout
from striate.runs.files import disk_errors, write_text
from striate.studies.execute.local import LocalScheduler, WorkerPool, may_have_gpu
from striate.studies.execute.protocol import Event
from striate.studies.loaded import LoadedStudy, load
from striate.studies.plan import Plan
from striate.studies.results import Results
from striate.train import card, study_file
from striate.train.choice import Choice, choose
from striate.train.findings import audited
from striate.train.plan import Clock, Interrupted, Note, Planner, Request
from striate.train.rules import Chosen
from striate.train.survey import Survey, survey

# After the training: results, report, model and card; and writing an ONNX file, before it is run on the test images.
ENDING_SECONDS = 6.0
EXPORT_SECONDS = 12.0
MOST_SLOWNESS = 4.0
SHORTEST, LONGEST = 0.5, 7 * 24 * 60  # minutes


@dataclass(frozen=True)
class Hooks:
    """What the caller shows, and how the user stops the command."""

    note: Note
    on_plan: Callable[[Plan], None]
    on_event: Callable[[Event], None]
    should_stop: Callable[[], bool]
    report: Callable[[Results], Path]


@dataclass(frozen=True)
class Outcome:
    """What the command made."""

    study_file: Path
    results: Results
    report: Path
    model: Path
    choice: Choice
    findings: tuple[str, ...]
    exported: Exported | None  # None: the note says why
    export_note: str
    is_cut: bool  # the time ran out before all runs were done
    seconds: float


def train(request: Request, hooks: Hooks) -> Outcome | None:
    """Make the study of `request.source`, or go on with the one that an earlier command made; None where the user stopped it.

    Raises:
        StriateError: for images, a network or a time that do not do, and where no run has finished.
    """
    clock = Clock(time.monotonic(), 60 * request.minutes)
    path = _study_path(request)
    workers = 1 if request.device != "cpu" and may_have_gpu() else min(cpu_count(), study_file.SEEDS)
    with WorkerPool(workers) as pool:
        computed = time.process_time()
        looked = survey(request.source)
        findings = audited(request.source, looked, clock.seconds)
        slowness = _slowness(clock.used, time.process_time() - computed)
        for finding in findings.sentences:
            hooks.note(f"audit: {finding}")
        try:
            study, ending = _study(request, path, looked, findings.group, pool, clock, hooks, slowness)
        except Interrupted:
            return None
        threads = max(1, cpu_count() // workers)
        results = study.run(
            scheduler=LocalScheduler(workers, threads, request.device, pool),
            device=request.device,
            on_plan=hooks.on_plan,
            on_event=hooks.on_event,
            should_stop=lambda: hooks.should_stop() or clock.left < ending,
        )
    if hooks.should_stop():
        return None
    return _finish(request, path, results, findings.sentences, clock, hooks)


def _study_path(request: Request) -> Path:
    check_name(request.name, "--name")
    if not SHORTEST <= request.minutes <= LONGEST:
        raise StudyError(f"--minutes: must be from {SHORTEST:g} to {LONGEST:,}, got {request.minutes:g}")
    source, out = Path(request.source).resolve(), request.out.resolve()
    if out.is_relative_to(source):
        raise StudyError(
            f"--out: {request.out} lies in the folder of the images, which would take it for a class; choose another"
        )
    return request.out / f"{layout.slug(request.name)}.yaml"


def _study(
    request: Request,
    path: Path,
    looked: Survey,
    group: Chosen | None,
    pool: WorkerPool,
    clock: Clock,
    hooks: Hooks,
    slowness: float,
) -> tuple[LoadedStudy, float]:
    """The study of the file that is there, or of a new one; and the seconds that are needed after its training."""
    with disk_errors(path):
        exists = path.exists()
    if exists:
        study = load(path, out=request.out)
        if Path(study.study.data.source).resolve() != Path(request.source).resolve():
            raise StudyError(
                f"{path}: is the study of other images ({study.study.data.source}); give this one another --name"
            )
        hooks.note(f"{path} is there already: what it lacks is trained. For a new study give another --name")
        return study, _ending_seconds(slowness)
    made = Planner(request, pool, clock, hooks.note, hooks.should_stop, group).make(
        looked, lambda images, speed: _ending_seconds(slowness, images / speed)
    )
    write_text(path, study_file.text(made.settings))
    hooks.note(f"study file: {path}")
    if group := made.settings.group:
        hooks.note(f"group: {group.value}; {group.why}")
    for each in made.settings.candidates:
        hooks.note(f"{each.name}: {each.epochs} epochs; {each.why}")
    size = made.settings.size
    hooks.note(f"image size: {size.value or 'as it is'}; {size.why}")
    hooks.note(f"training: about {made.seconds / 60:.1f} minutes of the {clock.left / 60:.1f} that are left")
    return load(path, out=request.out), made.ending


def _slowness(wall: float, computed: float) -> float:
    """How many times as long things take as on a machine that does nothing else, from a computation of one thread."""
    return min(MOST_SLOWNESS, max(1.0, wall / max(computed, 1e-3)))


def _ending_seconds(slowness: float, test_seconds: float = 0.0) -> float:
    """What follows the training. The file for other programs is compared with the network on all test images, twice `test_seconds`."""
    if importlib.util.find_spec("onnxscript") is None:
        return slowness * ENDING_SECONDS
    return slowness * (ENDING_SECONDS + EXPORT_SECONDS) + 2 * test_seconds


def _finish(
    request: Request, path: Path, results: Results, findings: tuple[str, ...], clock: Clock, hooks: Hooks
) -> Outcome:
    """Choose, and write the report and the model."""
    choice = choose(results)
    report = hooks.report(results)
    folder = results.folder / layout.MODEL
    model_file.write(Trained.of(choice.run), folder / layout.MODEL_WEIGHTS)
    exported, note = _export(choice, folder / layout.MODEL_ONNX, hooks.note)
    files = [f"`{layout.MODEL_WEIGHTS}`: the weights, with all that predictions need in its metadata."]
    if exported:
        files.append(
            f"`{layout.MODEL_ONNX}`: uint8 images in, probabilities out, for programs without Striate; run on all "
            f"{exported.images:,} test images it gave the same classes (largest difference {exported.largest_difference:.0e})."
        )
    card.write(folder / layout.MODEL_CARD, results, choice, findings, files)
    return Outcome(
        study_file=path, results=results, report=report, model=folder, choice=choice, findings=findings,
        exported=exported, export_note=note, is_cut=not results.is_complete and not results.failures, seconds=clock.used,
    )  # fmt: skip


def _export(choice: Choice, file: Path, note: Note) -> tuple[Exported | None, str]:
    """The network for other programs; a sentence where it cannot be had. An older file is of another network, so it goes."""
    with disk_errors(file):
        file.unlink(missing_ok=True)
    try:
        return export(choice.run.folder, "onnx", file, note=note), ""
    except MissingExtra as error:
        return None, f"no {layout.MODEL_ONNX}: {error}"
    except StriateError as error:
        return None, f"no {layout.MODEL_ONNX}: {error}"
