"""Speeds that two claims are about, measured on this machine: `python docs/answers.py measure` keeps them in results/speeds.json.

A3: the engine from scratch on the network of report A, on NumPy and, where there is a GPU with CuPy, on that. E4: the network of report E
on 256x256 images, without training.
"""

import importlib.util
import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from making.facts import FAILS, HOLDS, Row

FILE = "speeds.json"
SEEDS, REPEATS, BATCH = 3, 5, 16
STUDY = """
question: How fast does the engine from scratch train network A1?
data: {{source: {data}, channels: 1}}
network: report-a
recipe: {{optimizer: {{name: SGD, lr: 0.001}}, batch_size: 64, epochs: 1, precision: float32, engine: {engine}}}
seeds: {seeds}
"""
# What the report's GPU and CPU did in 24 minutes each: images times epochs.
GPU_WORK, CPU_WORK, MINUTES, STATED = 50_000 * 50, 1_000 * 3, 24, 833
COMMAND = "python docs/answers.py measure"


def measure(path: Path, data: str) -> None:
    """Measure here, and put it beside what was measured on other machines."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    engines = ["numpy", *(["cupy"] if importlib.util.find_spec("cupy") else [])]
    training = {engine: _training(engine, data) for engine in engines}
    speeds = {"training": training, "inference": _inference()}
    machine = training["numpy"]["machine"]
    path.write_text(json.dumps({**known, machine: speeds}, indent=1) + "\n", encoding="utf-8")


def _training(engine: str, data: str) -> dict[str, Any]:
    """Images a second in an epoch over the training images, for each seed."""
    from striate.studies.loaded import load

    with TemporaryDirectory() as folder:
        study = Path(folder) / "speed.yaml"
        study.write_text(STUDY.format(data=json.dumps(data), engine=engine, seeds=SEEDS), encoding="utf-8")
        rows = load(study, out=folder).run(jobs=1).rows
    environment = rows[0].run.environment
    return {
        "machine": environment.device_name or environment.device,
        "threads": environment.threads,
        "images a second": [round(row.run.metrics[-1].images_per_second) for row in rows],
    }


def _inference() -> dict[str, dict[str, Any]]:
    """Images a second through network E1, by device."""
    import torch

    from striate.nets import NETWORKS, NetworkConfig
    from striate.nets.pytorch.build import build

    named = NETWORKS["report-e"]
    module = build(NetworkConfig(**named.config), named.input_shape, named.classes, 0).eval()
    found = {}
    for device in ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]:
        batch = torch.zeros(BATCH, *named.input_shape, device=device)
        network, seconds = module.to(device), []
        with torch.inference_mode():
            for _ in range(REPEATS + 1):  # the first is left out
                start = time.perf_counter()
                network(batch)
                if device == "cuda":
                    torch.cuda.synchronize()
                seconds.append(time.perf_counter() - start)
        name = torch.cuda.get_device_name() if device == "cuda" else ""
        speeds = [round(BATCH / each, 1) for each in seconds[1:]]
        found[device] = {"name": name, "threads": torch.get_num_threads(), "images a second": speeds}
    return found


def rows(folder: Path) -> Iterator[Row]:
    """The claims about speed; without a file, as not measured."""
    path = folder / FILE
    machines = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    says = f"a GPU is {STATED} times as fast as a CPU ({CPU_WORK:,} images there and {GPU_WORK:,} here, {MINUTES} minutes each)"
    a3 = {"row": "A3", "who": "report A, question 1", "says": says, "command": COMMAND}
    e4 = {"row": "E4", "who": "report E", "says": "1,530.99 images a second at inference", "command": COMMAND}
    if not machines:
        yield Row(**a3, measured="no machine has measured it yet", verdict="not measured")
        yield Row(**e4, measured="no machine has measured it yet", verdict="not measured")
        return
    texts, factors = [], []
    for name, speeds in machines.items():
        text, factor = _same_work(name, speeds["training"])
        texts.append(text)
        factors.append(factor)
    verdict = HOLDS if all(STATED / 2 <= factor <= 2 * STATED for factor in factors) else FAILS
    yield Row(**a3, measured="; ".join(texts), verdict=verdict)
    inference = [
        f"{_speed(found)} on {found['name'] or name}"
        for name, speeds in machines.items()
        for found in speeds["inference"].values()
    ]
    yield Row(**e4, measured="; ".join(inference) + " (the report names no machine)", verdict="not comparable")


def _same_work(name: str, training: dict[str, Any]) -> tuple[str, float]:
    """The same work on both sides, and how many times as fast the faster one is."""
    cpu = training["numpy"]
    per_second = statistics.fmean(cpu["images a second"])
    minutes = GPU_WORK / per_second / 60
    text = (
        f"NumPy trains {_speed(cpu)} on {name}, {cpu['threads']} threads: {minutes:.1f} minutes for what took the report's GPU {MINUTES}, "
        f"and {CPU_WORK / per_second:.1f} s for what took its CPU {MINUTES} minutes"
    )
    if "cupy" not in training:
        return text, minutes / MINUTES
    factor = statistics.fmean(training["cupy"]["images a second"]) / per_second
    return f"{text}. CuPy on {training['cupy']['machine']}: {_speed(training['cupy'])}, {factor:.1f} times", factor


def _speed(found: dict[str, Any]) -> str:
    speeds = found["images a second"]
    digits = 0 if min(speeds) >= 100 else 1
    return f"{statistics.fmean(speeds):,.{digits}f} images a second (sd {statistics.stdev(speeds):,.{digits}f}, n {len(speeds)})"
