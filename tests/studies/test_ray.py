"""The scheduler of a Ray cluster: the contract, and what only a cluster can do wrong."""

import asyncio
import hashlib
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from striate.core.errors import DataError, RunError, StudyError
from striate.data import DataConfig, Dataset, Part, load
from striate.data.canonical_order import HashedPart, dataset_digest, hash_images
from striate.nets import NetworkConfig
from striate.runs import read
from striate.runs.files import write_text
from striate.studies.execute.estimate import estimate_time
from striate.studies.execute.local import LocalScheduler
from striate.studies.execute.messages import Train
from striate.studies.execute.on_ray import cluster, files, images, remote, runs, versions
from striate.studies.execute.on_ray.allocation import Allocation
from striate.studies.execute.on_ray.cluster import Node
from striate.studies.execute.on_ray.estimate import checked_cluster
from striate.studies.execute.on_ray.mailbox import Mailbox
from striate.studies.execute.on_ray.options import RayOptions
from striate.studies.execute.on_ray.scheduler import open_scheduler
from striate.studies.execute.protocol import Ended, Failed, Finished, Note, Progress, Started
from striate.studies.loaded import load as load_study
from tests.contracts.scheduler import InlineScheduler, SchedulerContract, make_tasks
from tests.needs import needs_package
from tests.studies.conftest import STUDY, write_study

STORE = 80 * 2**20


@pytest.fixture(scope="module")
def ray_cluster():
    """Three nodes of one CPU each, and a head that trains nothing, all on this machine."""
    needs_package("ray")
    import ray
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RAY_USAGE_STATS_ENABLED", "0")
        head = {"num_cpus": 0, "object_store_memory": STORE, "include_dashboard": False}
        # A lost node is noticed in 5 s and not in 15.
        head["_system_config"] = {"health_check_period_ms": 1000}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            for _ in range(3):
                cluster.add_node(num_cpus=1, object_store_memory=STORE)
            ray.init(address=cluster.address, log_to_driver=False, logging_level="CRITICAL")
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()


@pytest.fixture
def squares(tmp_path):
    write_study(tmp_path, STUDY)
    path = tmp_path / "squares.npz"
    return path, load(DataConfig(source=str(path))).digest


def open_here(options=None, jobs=None):
    """The scheduler of the cluster that this process is connected to."""
    import ray

    return open_scheduler(ray, options or RayOptions(), jobs, "cpu")


class TestShared(SchedulerContract):
    @pytest.fixture
    def scheduler(self, ray_cluster):
        return open_here(RayOptions(storage="shared"), jobs=2)


class TestCopied(SchedulerContract):
    @pytest.fixture
    def scheduler(self, ray_cluster):
        return open_here(RayOptions(storage="copied"), jobs=2)


def weights(folder):
    """The final weights of every run in a folder."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("final.safetensors")}


@pytest.mark.parametrize("storage", ["shared", "copied"])
@pytest.mark.parametrize(
    ("engine", "seeds"), [("numpy", 3), pytest.param("torch", 12, marks=pytest.mark.slow)], ids=["numpy", "torch"]
)
def test_a_study_has_the_bits_of_the_local_one(tmp_path, ray_cluster, engine, seeds, storage):
    """Two arms; and the folder is one that every other command reads."""
    path, changes = write_study(tmp_path, STUDY), (f"recipe.engine={engine}", f"seeds={seeds}")
    load_study(path, *changes, out=tmp_path / "here").run(device="cpu", scheduler=LocalScheduler(2, 1, "cpu"))
    study = load_study(path, *changes, out=tmp_path / "ray")
    assert study.run(device="cpu", on=RayOptions(storage=storage)).is_complete
    assert len(weights(tmp_path / "ray")) == 2 * seeds
    assert weights(tmp_path / "ray") == weights(tmp_path / "here")
    names = [sorted(file.name for file in (tmp_path / place).rglob("[!.]*")) for place in ("here", "ray")]
    assert names[0] == names[1]
    assert not study.plan().missing


def test_a_finished_study_needs_no_cluster(tmp_path, monkeypatch):
    study = load_study(write_study(tmp_path, STUDY), "recipe.engine=numpy", out=tmp_path / "runs")
    done = study.run(scheduler=InlineScheduler())
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert study.run(on="ray").table() == done.table()


def trained(scheduler, tasks, at=lambda event: None):
    """The events of training, each given to `at` first."""
    events = []
    for event in scheduler.run(tasks, lambda: False):
        at(event)
        events.append(event)
    return events


def ends(events):
    return {event.task.label: event for event in events if isinstance(event, Ended)}


@pytest.mark.parametrize("storage", [pytest.param("shared", marks=pytest.mark.slow), "copied"])
def test_the_run_of_a_lost_node_goes_on_elsewhere(tmp_path, squares, ray_cluster, storage):
    tasks = make_tasks(tmp_path / "ray", *squares, epochs=60)
    lost = []

    def lose(event):
        if isinstance(event, Progress) and not lost:
            lost.append(sorted(ray_cluster.worker_nodes, key=id)[0])
            ray_cluster.remove_node(lost[0], allow_graceful=False)

    try:
        events = trained(open_here(RayOptions(storage=storage)), tasks, lose)
    finally:
        ray_cluster.add_node(num_cpus=1, object_store_memory=STORE)
    notes = {event.text for event in events if isinstance(event, Note)}
    assert any("lost; the run continues from its last save (try 2 of 3)" in note for note in notes), notes
    assert {type(event) for event in ends(events).values()} == {Finished}
    here = make_tasks(tmp_path / "here", *squares, epochs=60)
    list(LocalScheduler(1, 1, "cpu").run(here))
    assert weights(tmp_path / "ray") == weights(tmp_path / "here")


def test_a_run_whose_process_dies_each_time_is_tried_three_times(tmp_path, squares, ray_cluster):
    (task,) = make_tasks(tmp_path, *squares, count=1, epochs=100_000)
    killed = []

    def kill(event):
        if isinstance(event, Progress):
            for process in psutil.process_iter(["cmdline"]):
                if (
                    process.info["cmdline"]
                    and process.info["cmdline"][0] == f"ray::striate: {task.label}"
                    and process.pid not in killed
                ):
                    killed.append(process.pid)
                    process.kill()

    events = trained(open_here(), [task], kill)
    assert len(killed) == 3
    assert [type(event) for event in events if not isinstance(event, Progress)] == [Started, Note, Note, Failed]
    assert events[-1].reason == "the process of the run was lost, 3 times"
    assert read(task.folder).state == "failed"


def test_a_study_that_can_not_begin_says_what_it_waits_for(tmp_path, squares, ray_cluster, monkeypatch):
    import ray

    monkeypatch.setattr(runs, "WAIT_SECONDS", 0.5)
    others = [ray.remote(num_cpus=1, max_retries=0)(lambda: time.sleep(600)).remote() for _ in range(3)]
    notes = []

    def free(event):
        if isinstance(event, Note):
            notes.append(event.text)
            for other in others:
                ray.cancel(other, force=True)

    events = trained(open_here(), make_tasks(tmp_path, *squares, count=1), free)
    assert notes == ["waits for 1 CPU: other work has them, or their node is starting"]
    assert [type(event) for event in ends(events).values()] == [Finished]


def test_a_node_with_another_version_is_named_before_anything_is_trained(tmp_path, ray_cluster):
    (tmp_path / "torch-1.0.dist-info").mkdir()
    (tmp_path / "torch-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 1.0\n")
    node = ray_cluster.add_node(
        num_cpus=1,
        object_store_memory=STORE,
        env_vars={"PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
    )
    try:
        with pytest.raises(
            StudyError,
            match=r"^--on ray: node .* of the cluster has torch 1\.0 and not \d.*; install the same versions",
        ):
            open_here()
    finally:
        ray_cluster.remove_node(node)


NODES = [Node(id="a", host="a", cpus=4, gpus=0), Node(id="b", host="b", cpus=2, gpus=2)]


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        (
            {"gpus_per_run": 3},
            r"^--gpus-per-run: must fit on a node, got 3, and the largest node of the cluster has 2 GPUs$",
        ),
        (
            {"cpus_per_run": 5},
            r"^--cpus-per-run: must fit on a node, got 5, and the largest node of the cluster has 4 CPUs$",
        ),
        (
            {"cpus_per_run": 4, "gpus_per_run": 1},
            r"^--cpus-per-run: no node of the cluster has 4 CPUs and 1 GPUs together; ask for less$",
        ),
    ],
)
def test_more_than_a_node_has_is_refused(options, rule):
    with pytest.raises(StudyError, match=rule):
        cluster.needs(RayOptions(**options), NODES, "auto")


def test_a_run_gets_a_gpu_where_there_is_one():
    assert cluster.needs(RayOptions(), NODES, "auto") == (1, 1)
    assert cluster.needs(RayOptions(), NODES, "cpu") == (1, 0)
    assert cluster.needs(RayOptions(), NODES[:1], "auto") == (1, 0)
    assert [node.slots(0.5, 0.25) for node in NODES] == [0, 4]


def test_storage_that_a_node_does_not_see_is_refused_or_done_without(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "_ask", lambda ray, nodes, *_: [True] * len(nodes))  # but none has written anything
    with (
        pytest.raises(
            StudyError, match=r"^--storage shared: node a does not see .*; choose an --out that all nodes mount"
        ),
        cluster.probed_storage(None, NODES, tmp_path / "runs", "shared"),
    ):
        pass
    with cluster.probed_storage(None, NODES, tmp_path / "runs", "auto") as probe:
        assert probe is None
    assert not list(tmp_path.iterdir())


def test_a_full_object_store_says_what_to_do(squares):
    ray = SimpleNamespace(exceptions=SimpleNamespace(ObjectStoreFullError=MemoryError, OutOfDiskError=OSError))
    ray.put = lambda value: (_ for _ in ()).throw(MemoryError)
    (task,) = make_tasks(Path(), *squares, count=1)
    with pytest.raises(
        StudyError, match=r"^--on ray: the object store has no room for the images of squares; start Ray with"
    ):
        Allocation(ray, RayOptions(), None, "cpu").images(task)


def test_images_that_changed_on_the_way_are_refused(squares):
    packed = images.pack(load(DataConfig(source=str(squares[0]))))
    assert images.unpack(packed).digest == squares[1]
    pixels, labels = packed["parts"]["train"]
    changed = {**packed, "parts": {**packed["parts"], "train": (255 - pixels, labels)}}
    with pytest.raises(DataError, match=r"^squares: the images that arrived on this node are not those that were sent"):
        images.unpack(changed)


def test_files_of_a_run_travel_by_what_has_changed(tmp_path):
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    for name in ("run.yaml", "metrics.jsonl", "last.pt", ".lock"):
        (there / name).write_text("first")
    state, sent = files.changes_since(there, {})
    assert list(sent) == ["last.pt", "metrics.jsonl", "run.yaml"]
    files.write(here, sent)
    (there / "last.pt").unlink()
    write_text(there / "metrics.jsonl", "again")
    _, sent = files.changes_since(there, state)
    assert sent == {"metrics.jsonl": b"again", "last.pt": None}
    files.write(here, sent)
    assert files.contents(here) == {"metrics.jsonl": b"again", "run.yaml": b"first"}


@pytest.mark.parametrize("name", ["../other", "/etc/striate", "a/../../b", ""])
def test_a_file_outside_the_run_is_refused(tmp_path, name):
    with pytest.raises(RunError, match="which is outside its run's folder"):
        files.write(tmp_path / "run", {name: b""})
    assert not list(tmp_path.rglob("*"))


def test_arms_of_one_seed_go_to_one_kind_of_node(squares):
    nodes = [Node(id="a", host="a", cpus=1, gpus=0, kind="old"), Node(id="b", host="b", cpus=3, gpus=0, kind="new")]
    tasks = [task for arm in "xy" for task in make_tasks(Path(arm), *squares, count=8)]
    kinds = runs._kinds_of_seeds(tasks, Allocation(None, RayOptions(), None, "cpu", nodes, 1, 0))
    assert sorted(kinds) == list(range(8))
    assert Counter(kinds.values()) == {"new": 6, "old": 2}
    assert runs._kinds_of_seeds(tasks, Allocation(None, RayOptions(), None, "cpu", nodes[1:], 1, 0)) == {}


def test_check_says_what_the_cluster_has_and_times_steps_there(tmp_path, ray_cluster):
    study = load_study(write_study(tmp_path, STUDY), "recipe.engine=numpy", out=tmp_path / "runs")
    plan = study.plan()
    with checked_cluster(plan, RayOptions(), None, "cpu") as (resources, measure):
        (nodes,) = resources.nodes
        assert nodes.startswith("3 nodes with 1 CPU (")
        assert (resources.at_once, resources.threads, resources.precision) == (3, 1, "float32")
        time = estimate_time(plan, resources, "cpu", measure=measure)
    assert time.images_per_second.keys() == {"plain", "normalized"}
    assert time.seconds > 0
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
@pytest.mark.parametrize("storage", ["shared", "copied"])
def test_a_study_whose_process_was_killed_goes_on(tmp_path, ray_cluster, storage):
    """Its runs end with it, and the same command trains what is left, to the same bits."""
    path, changes = write_study(tmp_path, STUDY), ("recipe.engine=numpy", "recipe.epochs=60", "seeds=2")
    command = [sys.executable, "-m", "striate", "run", path, *changes, "--on", "ray", "--storage", storage]
    environment = {**os.environ, "RAY_ADDRESS": ray_cluster.address}
    with subprocess.Popen(
        [*command, "--out", tmp_path / "runs"], env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert any("finished" in line for line in process.stderr)
        process.kill()
    study = load_study(path, *changes, out=tmp_path / "runs")
    assert study.plan().missing
    assert study.run(device="cpu", on=RayOptions(storage=storage)).is_complete
    load_study(path, *changes, out=tmp_path / "here").run(scheduler=InlineScheduler())
    assert weights(tmp_path / "runs") == weights(tmp_path / "here")


def test_a_node_that_joined_later_is_asked_whether_it_fits(tmp_path):
    here = versions.own_versions()
    assert remote.unfit_for({"versions": here, "probe": ""}) == ""
    assert remote.unfit_for({"versions": here, "probe": str(tmp_path)}) == ""
    assert (
        remote.unfit_for({"versions": {**here, "torch": "1.0"}, "probe": ""})
        == f"has torch {here['torch']} and not 1.0"
    )
    missing = remote.unfit_for({"versions": here, "probe": str(tmp_path / "runs" / "probe")})
    assert missing == f"does not see the folder of the results, {tmp_path / 'runs'}"


def test_weights_are_where_the_node_has_them_and_run_yaml_names_the_study_s(tmp_path, squares):
    """The path of the machine that started the study is not there on the node."""
    (task,) = make_tasks(tmp_path, *squares, count=1)
    path = tmp_path / "elsewhere.safetensors"
    network = NetworkConfig(**{"import": "tests.report.folders:small_module", "pretrained": str(path)})
    job = task.job.replace(network=network, weights=hashlib.sha256(b"weights").hexdigest())
    (tmp_path / "scratch").mkdir()
    request = Train(replace(task, job=job), "cpu", 1, 1)
    here = remote._prepare(request, tmp_path / "scratch", {}, b"weights").task
    assert here.job.network.weights_digest() == job.weights
    assert here.job.network.pretrained == str(tmp_path / "scratch" / "weights.safetensors")
    assert here.job.fingerprint == job.fingerprint
    assert here.folder == tmp_path.joinpath("scratch", *task.folder.parts[-3:])
    assert str(path) in (here.folder / "run.yaml").read_text()
    path.write_bytes(b"weights")
    assert remote._local_weights(job, b"weights", tmp_path / "scratch") is job


def test_the_mailbox_keeps_order_and_only_the_newest_progress():
    async def exchange():
        box = Mailbox()
        assert await box.begin("1", "started")
        for number in range(3):
            await box.post_progress("1", f"progress {number}")
        await box.post_files("1", {"a": b"old", "b": b"b"})
        await box.post_files("1", {"a": None})
        assert await box.take(0) == ([("1", "started"), ("1", "progress 2")], ["1"])
        assert await box.take_files("1") == {"a": None, "b": b"b"}
        await box.stop()
        assert not await box.begin("2", "started")
        assert await box.take(0) == ([], [])

    asyncio.run(exchange())


@pytest.mark.slow
def test_images_larger_than_the_object_store_arrive(ray_cluster):
    """Ray keeps what does not fit on the disk."""
    import ray

    pixels = np.random.default_rng(0).integers(0, 256, (STORE // 3000, 64, 64, 1), np.uint8)
    labels = np.arange(len(pixels)) % 2
    digest = dataset_digest(
        ("a", "b"), {name: HashedPart(pixels, labels, hash_images(pixels)) for name in ("train", "test")}
    )
    dataset = Dataset("large", ("a", "b"), Part(pixels, labels), None, Part(pixels, labels), digest)
    assert 2 * pixels.nbytes > 2 * STORE
    allocation = Allocation(ray, RayOptions(), None, "cpu", cpus=1)
    reference = allocation._put(images.pack(dataset), "the images")
    assert ray.get(allocation.remote(lambda packed: images.unpack(packed).digest).remote(reference)) == digest
