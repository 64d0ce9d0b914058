"""Final weights of two studies on the digits, kept: a commit that changes them must give the reason.

Equal to the bit where processor and libraries are those that they were kept with; elsewhere sums are added in another
order, and the mean and the deviation of each weight must agree. To write them again: remove the file and run this.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

import striate
from tests.contracts.scheduler import InlineScheduler

GOLDEN = Path(__file__).parent.parent / "golden" / "weights_cpu.json"
STUDIES = {
    "quickstart": (
        "network.layers=conv16 pool conv32 pool conv64 pool fc64",
        "recipe.optimizer.lr=0.03",
        "recipe.epochs=2",
        "recipe.precision=float32",
    ),
    "engines": (
        "data=digits",
        "data.limit=400",
        "network=conv8 pool fc16",
        "network.norm=batch",
        "recipe.epochs=2",
        "recipe.precision=float32",
    ),
}


def machine(run: Path) -> list[str]:
    """What the last bits depend on."""
    environment = json.loads((run / "env.json").read_text())
    stated = [str(environment[key]) for key in ("device_name", "threads")]
    return [*stated, processor_model(), torch.backends.cpu.get_cpu_capability(), torch.__version__, np.__version__]


def processor_model() -> str:
    """Generations of processors share names, and libraries choose other code for each."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    numbers = [line.partition(":")[2].strip() for line in lines if line.startswith(("cpu family", "model\t"))]
    return " ".join(numbers[:2])


def measure(folder: Path) -> dict[str, dict[str, object]]:
    """By study, arm and seed: the fingerprint of the run, the digest of its final weights, and the moments of each."""
    measured = {}
    for name, overrides in STUDIES.items():
        results = striate.load(name, *overrides, seeds=1, out=folder).run(scheduler=InlineScheduler())
        for row in results.rows:
            path = row.run.folder / "final.safetensors"
            measured[f"{name}/{row.arm}/{row.seed}"] = {
                "fingerprint": row.run.fingerprint,
                "machine": machine(row.run.folder),
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "moments": {key: [float(w.mean()), float(w.std())] for key, w in sorted(load_file(path).items())},
            }
    return measured


def test_the_weights_of_two_studies_are_those_that_were_kept(tmp_path):
    now = measure(tmp_path)
    if not GOLDEN.exists():
        GOLDEN.write_text(json.dumps(now, indent=1) + "\n")
        pytest.fail(f"{GOLDEN.name} was not there and is now; look at it and commit it")
    kept = json.loads(GOLDEN.read_text())
    assert now.keys() == kept.keys()
    for name, run in now.items():
        then = kept[name]
        assert run["fingerprint"] == then["fingerprint"], name
        for key, moments in run["moments"].items():
            assert moments == pytest.approx(then["moments"][key], rel=0.2, abs=0.05), f"{name}: {key}"
        if run["machine"] == then["machine"]:
            assert run["sha256"] == then["sha256"], name
