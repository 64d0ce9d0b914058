"""What Ray costs a study: 24 runs of 20 s beside the local scheduler, and plans of up to 2,000 runs.

python benchmarks/cluster.py overhead [RUNS] [SECONDS]
python benchmarks/cluster.py scale

Neither needs a fast machine, because the runs wait instead of computing. `overhead` trains real runs, with all their files, of a
network that waits in each step; so what differs between the schedulers is starting, importing, sending and ending. In `scale`
a stand-in takes the place of the training: it sends the messages of a run and ends.
"""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

import striate
from striate.studies.execute.local import LocalScheduler
from striate.studies.execute.on_ray import cluster, remote
from striate.studies.execute.on_ray.options import RayOptions
from striate.studies.execute.on_ray.scheduler import open_scheduler
from striate.studies.execute.protocol import Finished, Started, Task

STEPS = 20
BATCH = 16
WORKERS = 2


def waiting_network(channels: int, classes: int, seconds: float):
    """A network that waits so long in each step of training."""
    import torch

    class Waiting(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = torch.nn.Linear(channels * 64, classes)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            if self.training and len(images) == BATCH:  # not where the network is traced, before the training
                time.sleep(seconds)
            return self.head(images.flatten(1))

    return Waiting()


def write_images(folder: Path) -> Path:
    draw = np.random.default_rng(0)
    parts = {}
    for name, count in (("train", 360), ("test", 40)):
        labels = np.arange(count) % 2
        # Dark and bright images, so that no run stays at chance, which would be diagnosed.
        noise = draw.integers(0, 56, (count, 8, 8, 1))
        parts[f"{name}_images"] = (noise + 200 * labels[:, None, None, None]).astype(np.uint8)
        parts[f"{name}_labels"] = labels
    np.savez(folder / "images.npz", **parts)
    return folder / "images.npz"


def overhead(runs: int, seconds: float) -> None:
    """Both schedulers on the same study, one after the other."""
    folder = Path(tempfile.mkdtemp())
    path = folder / "study.yaml"
    step = seconds / STEPS
    path.write_text(f"""\
question: What does a scheduler cost?
data: {write_images(folder)}
network: {{import: "cluster:waiting_network", args: {{channels: 1, classes: 2, seconds: {step}}}}}
recipe: {{batch_size: {BATCH}, epochs: 1, precision: float32, optimizer: {{name: SGD, lr: 0.01}}}}
seeds: {runs}
arms: {{plain: {{}}}}
""")
    times = {}
    for name in ("local", "ray"):
        study = striate.load(path, out=folder / name)
        started = time.monotonic()
        if name == "local":
            results = study.run(device="cpu", scheduler=LocalScheduler(WORKERS, 1, "cpu"))
        else:
            with cluster.connected(RayOptions()):
                connected = time.monotonic()
                print(f"Ray's start and connection: {connected - started:.1f} s")
                started = connected
                results = study.run(device="cpu", jobs=WORKERS, on="ray")
        times[name] = time.monotonic() - started
        trained = [row.run.summary.seconds for row in results.rows]
        assert results.is_complete
        print(
            f"{name}: {runs} runs in {times[name]:.1f} s, {np.mean(trained):.2f} s of training each ({np.std(trained):.2f})"
        )
    print(f"Ray takes {100 * (times['ray'] / times['local'] - 1):+.1f} % of the local scheduler's time")


def stand_in(request, attempt, mailbox, setting, packed, copied, weights) -> str:
    """The messages of a run, without a run."""
    first = json.dumps({"kind": "Started", "node": ""})
    if not mailbox.begin.remote(attempt, first).future().result():
        return ""
    summary = {
        "state": "finished",
        "reason": "",
        "epochs": 1,
        "best_epoch": 1,
        "seconds": 0.0,
        "parameters": 1,
        "classes": 2,
    }
    return json.dumps({"kind": "Finished", "summary": summary})


def scale() -> None:
    """How long plans of stand-ins take, and what memory this process has then."""
    remote.train_run = stand_in
    folder = Path(tempfile.mkdtemp())
    from striate.data import DataConfig, load
    from striate.nets import NetworkConfig
    from striate.recipes import Recipe
    from striate.runs import Job

    data = DataConfig(source=str(write_images(folder)))
    job = Job(data=data, digest=load(data).digest, network=NetworkConfig(layers="fc2"), recipe=Recipe(), seed=0)
    with cluster.connected(RayOptions()) as ray:
        scheduler = open_scheduler(ray, RayOptions(), None, "cpu")
        for count in (10, 100, 500, 2000):  # the first starts Ray's processes
            tasks = [Task(f"run {n}", job.replace(seed=n), folder / "runs" / "arm" / f"seed-{n}") for n in range(count)]
            started = time.monotonic()
            kinds = [type(event) for event in scheduler.run(tasks, lambda: False)]
            seconds = time.monotonic() - started
            assert kinds.count(Started) == kinds.count(Finished) == count
            head = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
            others = sum(child.memory_info().rss for child in psutil.Process().children(recursive=True)) / 2**20
            speed = f"{count} runs: {seconds:.1f} s, {1000 * seconds / count:.1f} ms a run"
            print(f"{speed}, at most {head:.0f} MiB in this process, {others:.0f} MiB in those of Ray")


if __name__ == "__main__":
    if sys.argv[1:2] == ["scale"]:
        scale()
    else:
        given = dict(enumerate(sys.argv[2:]))
        overhead(int(given.get(0, "24")), float(given.get(1, "20")))
