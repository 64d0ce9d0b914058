"""`striate check`: the resolved study and the plan, with what it would cost."""

import shutil
from pathlib import Path
from typing import Any

from striate.cli.output import duration, megabytes, out, plain_json, table
from striate.cli.run import jobs_number
from striate.core import config
from striate.core.records import fingerprint
from striate.nets.summary.summarize import summarize
from striate.studies.loaded import LoadedStudy, load
from striate.studies.plan import Plan
from striate.tracking import check_installed


def check(
    source: str, overrides: list[str], seeds: int | None, folder: Path, device: str, jobs: str, as_json: bool
) -> None:
    """The command."""
    from striate.studies.execute.estimate import estimate

    study = load(source, *overrides, seeds=seeds, out=folder)
    study.check_engines(device)
    check_installed(study.study.log)
    plan = study.plan()
    cost = estimate(plan, jobs_number(jobs), device)
    if as_json:
        plain_json(_json(study, plan, cost))
        return
    out(config.dump({"name": plan.study.name, **study.document.data}))
    _data(plan)
    _arms(plan, cost)
    _networks(plan)
    for comparison in plan.study.comparisons:
        out(f"planned comparison: {comparison} (matters from {plan.study.matters:g} points)")
    done = len(plan.runs) - len(plan.missing)
    at_once = f"{cost['at_once']} at once with {cost['threads']} threads each"
    out(f"\n{len(plan.runs)} runs, {done} done, {len(plan.missing)} to train, {at_once}")
    if plan.missing:
        machine = f"{cost['device_name']}, {cost['precision']}; a few steps of each arm were timed"
        out(f"about {duration(cost['seconds'])} on this machine ({machine})")
        out(f"about {megabytes(cost['bytes'])} of disk in {plan.folder}")


def _data(plan: Plan) -> None:
    shown = set()
    for arm in plan.arms:
        dataset = plan.datasets[arm.name]
        if dataset.digest not in shown:
            shown.add(dataset.digest)
            held = f"{len(dataset.train):,} training images ({arm.data.validation:.0%} of them for validation)"
            if dataset.validation is not None:
                held = f"{len(dataset.train):,} training and {len(dataset.validation):,} validation images"
            shape = f"{dataset.channels}x{dataset.height}x{dataset.width}"
            out(
                f"data {dataset.name}: {held}, {dataset.test_size:,} test images, {shape}, {len(dataset.classes)} classes"
            )
            for note in dataset.notes:
                out(f"  {note}")


def _arms(plan: Plan, cost: dict[str, Any]) -> None:
    rows = []
    for arm in plan.arms:
        runs = [run for run in plan.runs if run.arm == arm.name]
        changes = ", ".join(f"{key}={value}" for key, value in arm.changes.items()) or "the base"
        done = sum(run.state == "done" for run in runs)
        rows.append(
            [
                arm.name,
                changes,
                f"{plan.parameters[arm.name]:,}",
                f"{done}/{len(runs)}",
                f"{cost['images_per_second'][arm.name]:,.0f}",
            ]
        )
    table(["arm", "changes", "parameters", "done", "images/s"], rows, right={2, 3, 4})


def _networks(plan: Plan) -> None:
    """The layer table of each different network."""
    shown: dict[str, list[str]] = {}
    tables = {}
    for arm in plan.arms:
        dataset = plan.datasets[arm.name]
        shape, classes = (dataset.channels, dataset.height, dataset.width), len(dataset.classes)
        key = fingerprint(arm.network, shape, classes)
        shown.setdefault(key, []).append(arm.name)
        tables[key] = summarize(arm.network, shape, classes)
    width = shutil.get_terminal_size((160, 24)).columns
    for key, names in shown.items():
        out(f"\nnetwork of {', '.join(names)}", bold=True)
        out(tables[key].text(width))


def _json(study: LoadedStudy, plan: Plan, cost: dict[str, Any]) -> dict[str, Any]:
    return {
        "study": {**study.document.data, "name": plan.study.name},
        "arms": {arm.name: {"changes": arm.changes, "parameters": plan.parameters[arm.name]} for arm in plan.arms},
        "runs": [
            {"arm": run.arm, "seed": run.seed, "state": run.state, "fingerprint": run.job.fingerprint}
            for run in plan.runs
        ],
        "estimate": cost,
    }
