"""The scheduler of a Ray cluster: the contract, and what only a cluster can do wrong."""

import pytest

from striate.data import DataConfig, load
from striate.studies.execute.local import LocalScheduler
from striate.studies.execute.on_ray.options import RayOptions
from striate.studies.execute.on_ray.scheduler import open_scheduler
from striate.studies.loaded import load as load_study
from tests.contracts.scheduler import InlineScheduler, SchedulerContract
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
        cluster = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 0, "object_store_memory": STORE, "include_dashboard": False},
        )
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


@pytest.fixture
def scheduler(ray_cluster):
    import ray

    return open_scheduler(ray, RayOptions(), 2, "cpu")


class TestShared(SchedulerContract):
    pass


class TestCopied(SchedulerContract):
    @pytest.fixture
    def scheduler(self, ray_cluster):
        import ray

        return open_scheduler(ray, RayOptions(storage="copied"), 2, "cpu")


def weights(folder):
    """The final weights of every run in a folder, by the names of arm and seed."""
    return {path.parent.parent.name + path.parent.name: path.read_bytes() for path in folder.rglob("final.safetensors")}


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
    path = write_study(tmp_path, STUDY)
    done = load_study(path, out=tmp_path / "runs").run(scheduler=InlineScheduler())
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert load_study(path, out=tmp_path / "runs").run(on="ray").table() == done.table()
