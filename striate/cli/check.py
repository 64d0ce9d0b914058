"""`striate check`: the plan of a study first, then about how long it takes on this machine."""

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from striate.cli.output import count, disk_size, duration, out, plain_json, table
from striate.cli.run import jobs_number
from striate.cli.run_options import Place
from striate.core import config
from striate.core.errors import NetworkError
from striate.core.records import fingerprint
from striate.data import Dataset
from striate.nets.layers import Shape
from striate.nets.summary.summarize import summarize
from striate.studies.audited import read_audit
from striate.studies.execute.estimate import Resources, TimeEstimate, estimate_time, resources
from striate.studies.loaded import LoadedStudy
from striate.studies.metrics import run_metric
from striate.studies.plan import Plan
from striate.studies.study import Arm
from striate.tracking import check_installed
from striate.verdicts.wording import short_list


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """What the command prints beside the plan, and how."""

    layers: bool
    explain: bool
    time: bool
    json: bool


def print_study(study: LoadedStudy) -> None:
    """Print the study as YAML that `striate run` reads, with the overrides in it."""
    out(config.dump({"name": study.study.name, **study.document.data}).rstrip())


def check(study: LoadedStudy, device: str, jobs: str, place: Place, options: CheckOptions) -> None:
    """Print the plan of `study`, the layers of its networks if asked for, and about how long it takes."""
    ray = place.ray
    at_once = jobs_number(jobs, is_here=ray is None)
    if ray is None:
        study.check_engines(device)
        check_installed(study.study.log)
        plan = study.plan()
        workers = resources(plan, at_once, device)
        _check(study, plan, workers, partial(estimate_time, plan, workers, device), options)
        return
    from striate.studies.execute.on_ray.estimate import checked_cluster

    check_installed(study.study.log)
    plan = study.plan()
    with checked_cluster(plan, ray, at_once, device) as (workers, measure):
        _check(study, plan, workers, partial(estimate_time, plan, workers, device, measure=measure), options)


def _check(
    study: LoadedStudy,
    plan: Plan,
    workers: Resources,
    estimate: Callable[[], TimeEstimate | None],
    options: CheckOptions,
) -> None:
    if options.json:
        plain_json(_json(study, plan, workers, estimate() if options.time else None))
        return
    _plan(plan, workers)
    if options.layers or options.explain:
        _layers(plan, options.explain)
    if options.time and plan.missing:
        _time(estimate(), workers)


def _plan(plan: Plan, workers: Resources) -> None:
    out(plan.study.question, bold=True)
    if plan.study.size:
        out(f"size: {plan.study.size}")
    for arm, reason in plan.study.left_out.items():
        out(f"left out: arm '{arm}': {reason}")
    for dataset in {dataset.digest: dataset for dataset in plan.datasets.values()}.values():
        _data(plan, dataset)
    for warning in (*plan.warnings, *_uncounted(plan)):
        out(f"note: {warning}")
    out("")
    _arms(plan)
    out("")
    if search := plan.study.search:
        seeds = f"{count(search.seeds, 'seed')} each"
        out(
            f"search: {count(search.trials, 'trial')} of {seeds}, by validation accuracy; then the two best on the seeds below"
        )
    for comparison in plan.study.comparisons:
        out(f"comparison: {comparison}, matters from {_matters(plan)}")
    if not plan.study.comparisons:
        out("no comparison is planned: the result is each arm's accuracy, without a verdict")
    missing = len(plan.missing)
    out(f"{count(len(plan.due), 'run')}: {len(plan.due) - missing} done, {missing} to train")
    if plan.study.looks:
        looks = ", ".join(map(str, plan.study.looks))
        out(f"looks after {looks} seeds: undecided comparisons go on, to {count(len(plan.runs), 'run')} at most")
    if missing:
        if workers.nodes:
            out(f"cluster: {', '.join(workers.nodes)}")
        threads = count(workers.threads, "thread")
        out(f"trained {workers.at_once} at a time, {threads} each ({workers.device_name}, {workers.precision})")
        if workers.auto:
            out(str(workers.auto))
        out(f"disk: about {disk_size(workers.disk_bytes)} in {plan.folder}")


def _uncounted(plan: Plan) -> list[str]:
    """Layers of the user's own networks whose multiply-adds are not known; a network that cannot be followed is not named here."""
    sentences: dict[str, list[str]] = {}
    for arm in plan.arms:
        if arm.network.reference:
            with contextlib.suppress(NetworkError):
                layers = summarize(arm.network, *_input(plan, arm)).table.uncounted
                if layers:
                    sentence = f"the multiply-adds of {', '.join(layers)} of {arm.network.title} are not known"
                    sentences.setdefault(sentence, []).append(arm.name)
    return [f"{sentence} ({short_list(arms)})" for sentence, arms in sentences.items()]


def _input(plan: Plan, arm: Arm) -> tuple[Shape, int]:
    """The shape of an arm's images, and how many classes they have."""
    dataset = plan.datasets[arm.name]
    return (dataset.channels, dataset.height, dataset.width), len(dataset.classes)


def _matters(plan: Plan) -> str:
    """0.5 points of test accuracy; 5 % of training time; 0.01 of test loss."""
    metric, matters = run_metric(plan.study.metric).metric, f"{plan.study.matters:g}"
    unit = {"percent": " points", "ratio": " %", "plain": ""}[metric.scale]
    return f"{matters}{unit} of {metric.name}"


def _data(plan: Plan, dataset: Dataset) -> None:
    shares = {arm.data.validation for arm in plan.arms if plan.datasets[arm.name].digest == dataset.digest}
    if dataset.validation is not None:
        parts = f"{len(dataset.train):,} training and {len(dataset.validation):,} validation images"
    else:
        validation = " or ".join(f"{100 * share:g} %" for share in sorted(shares))
        parts = f"{len(dataset.train):,} training images ({validation} of them for validation)"
    shape = f"{dataset.channels}x{dataset.height}x{dataset.width}"
    out(f"data: {dataset.name}: {parts}, {dataset.test_size:,} test images, {shape}, {len(dataset.classes)} classes")
    for note in plan.notes_of(dataset):
        out(f"  {note}")
    found = audit.of(dataset.digest) if (audit := read_audit(plan.folder)) else None
    if found:
        kinds = "a copy or near duplicate" if found.near else "a copy"
        out(f"  audited: {len(found.twins):,} of {found.test_images:,} test images have {kinds} in training")
    else:
        out("  not audited: 'striate audit' with this study looks for copies, near duplicates and flawed images")


def _arms(plan: Plan) -> None:
    columns = ["arm", "parameters", "runs", "done"]
    rows = []
    for arm in plan.arms:
        runs = [run for run in plan.due if run.arm == arm.name]
        done = sum(run.state == "done" for run in runs)
        rows.append([arm.name, f"{plan.parameters[arm.name]:,}", f"{len(runs)}", f"{done}"])
    if plan.study.kind == "arms":  # whose arms are named by what they change
        columns.insert(1, "changes")
        for arm, row in zip(plan.arms, rows, strict=True):
            row.insert(1, ", ".join(f"{key}={value}" for key, value in arm.changes.items()) or "nothing")
    table(columns, rows, right=set(range(len(columns) - 3, len(columns))))


def _layers(plan: Plan, explain: bool) -> None:
    """The layers of each different network."""
    arm_names: dict[str, list[str]] = {}
    summaries = {}
    for arm in plan.arms:
        shape, classes = _input(plan, arm)
        key = fingerprint(arm.network, shape, classes)
        arm_names.setdefault(key, []).append(arm.name)
        summaries[key] = summarize(arm.network, shape, classes)
    width = shutil.get_terminal_size((160, 24)).columns
    for key, names in arm_names.items():
        out(f"\nnetwork of {', '.join(names)}", bold=True)
        is_last = key == list(arm_names)[-1]
        out(summaries[key].text(width, legend=explain and is_last))


def _time(time: TimeEstimate | None, workers: Resources) -> None:
    if time is None:
        return
    source = "a few training steps of each arm were timed"
    if not time.is_complete:
        source = f"estimated from {len(time.images_per_second)} of {time.arms} arms, timed for a few steps each"
    where = "cluster" if workers.nodes else "machine"
    out(f"time: about {duration(time.seconds)} on this {where} ({source})")


def _json(study: LoadedStudy, plan: Plan, workers: Resources, time: TimeEstimate | None) -> dict[str, Any]:
    return {
        "study": {**study.document.data, "name": plan.study.name},
        "arms": {arm.name: {"changes": arm.changes, "parameters": plan.parameters[arm.name]} for arm in plan.arms},
        "runs": [
            {"arm": run.arm, "seed": run.seed, "state": run.state, "fingerprint": run.job.fingerprint}
            for run in plan.runs
        ],
        "notes": [*plan.notes, *_uncounted(plan)],
        "resources": asdict(workers),
        "time": None if time is None else asdict(time),
    }
