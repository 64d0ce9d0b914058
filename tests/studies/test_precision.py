"""One precision for the arms of a study that say auto: decided once, handed to the runs, and kept when the study grows."""

import pytest

from striate.engines import precision, select
from striate.engines.precision import Bf16Check, PrecisionChoice, PrecisionQuestion
from striate.engines.pytorch import device
from striate.nets import NetworkConfig
from striate.runs import read
from striate.studies.execute.local import WorkerPool
from striate.studies.execute.messages import Train, decode_request, encode
from striate.studies.execute.precision import study_precision
from striate.studies.execute.protocol import Task
from striate.studies.loaded import load
from tests.contracts.scheduler import InlineScheduler, make_tasks
from tests.studies.conftest import STUDY, write_study

AUTO = STUDY.replace("  precision: float32\n", "").replace("epochs: 2", "epochs: 1").replace("seeds: 2", "seeds: 1")


@pytest.fixture
def speedups(monkeypatch):
    """How many times as fast bf16 is by the norm of the network, on a processor with units for it."""
    by_norm = {"none": 2.0, "batch": 2.0}
    choose = select.choose_precision

    def with_speedup(asked):
        speedup = by_norm[asked.network.norm]
        monkeypatch.setattr(precision, "checked", lambda *_: Bf16Check(speedup=speedup))
        return choose(asked)

    monkeypatch.setattr(device, "_has_bf16_units", lambda _: True)
    monkeypatch.setattr(select, "choose_precision", with_speedup)
    return by_norm


def environments(root) -> dict[str, tuple[str, str]]:
    runs = {path.parent: read(path.parent).environment for path in sorted(root.rglob("env.json"))}
    return {f"{folder.parent.name} {folder.name}": (e.precision, e.precision_reason) for folder, e in runs.items()}


def run(tmp_path, *changes, text=AUTO, **options):
    study = load(write_study(tmp_path, text), *changes, out=tmp_path / "runs", **options)
    assert study.run(scheduler=InlineScheduler()).is_complete
    return environments(tmp_path / "runs")


def test_all_arms_are_in_float32_when_one_is_slower_in_bf16(tmp_path, speedups):
    speedups["batch"] = 0.8
    reason = "bf16 is 0.8 times as fast here (arm 'normalized')"
    assert run(tmp_path) == {"plain seed-0": ("float32", reason), "normalized seed-0": ("float32", reason)}


def test_all_arms_are_in_bf16_when_all_are_faster(tmp_path, speedups):
    reason = "2.0 times as fast as float32 here"
    assert run(tmp_path) == {"plain seed-0": ("bf16", reason), "normalized seed-0": ("bf16", reason)}


@pytest.mark.parametrize(("first", "then"), [(2.0, 0.5), (0.5, 2.0)])
def test_a_study_that_grows_keeps_the_precision_of_its_runs(tmp_path, speedups, first, then):
    speedups.update(none=first, batch=first)
    kept = run(tmp_path)["plain seed-0"][0]
    speedups.update(none=then, batch=then)
    text = AUTO + "  wide: {network.layers: conv8 pool fc8}\n"
    grown = run(tmp_path, text=text, seeds=2)
    assert len(grown) == 6
    assert {name: of for name, (of, _) in grown.items()} == dict.fromkeys(grown, kept)
    assert grown["wide seed-1"][1] == "as in the earlier runs of the study"


def test_new_runs_are_in_float32_where_there_are_no_units_for_that_of_the_earlier_ones(tmp_path, speedups, monkeypatch):
    assert run(tmp_path)["plain seed-0"][0] == "bf16"
    monkeypatch.setattr(device, "_has_bf16_units", lambda _: False)
    assert run(tmp_path, seeds=2)["plain seed-1"] == ("float32", "this processor has no bf16 units")


def test_an_arm_from_scratch_keeps_the_others_in_float32(tmp_path, speedups):
    text = AUTO.replace("normalized: {network.norm: batch}", "scratch: {recipe.engine: numpy}")
    reason = "the engine numpy computes in it (arm 'scratch')"
    assert run(tmp_path, text=text) == {"plain seed-0": ("float32", reason), "scratch seed-0": ("float32", "")}


def test_arms_that_state_their_precision_are_left_alone(tmp_path, speedups):
    speedups["none"] = 0.5
    text = AUTO.replace("{network.norm: batch}", "{network.norm: batch, recipe.precision: bf16}")
    made = run(tmp_path, text=text)
    assert made["normalized seed-0"] == ("bf16", "")
    assert made["plain seed-0"] == ("float32", "bf16 is 0.5 times as fast here")


def test_a_stop_while_it_is_measured_starts_nothing(tmp_path):
    plan = load(write_study(tmp_path, AUTO), out=tmp_path / "runs").plan()
    assert study_precision(plan, "cpu", 1, lambda asked: None) is None


def test_arms_that_cost_the_same_are_asked_once(tmp_path):
    text = AUTO[: AUTO.index("arms:")] + "grid: {network.layers: [conv2, conv4], recipe.optimizer.lr: [0.1, 0.01]}\n"
    plan, asked = load(write_study(tmp_path, text), out=tmp_path / "runs").plan(), []
    study_precision(plan, "cpu", 1, lambda one: (asked.append(one), PrecisionChoice("bf16", "faster", 2.0))[1])
    assert [one.network.layers for one in asked] == ["conv2", "conv4"]


def test_a_worker_answers_and_a_task_keeps_its_precision_on_the_way(tmp_path):
    asked = PrecisionQuestion(engine="numpy", network=NetworkConfig(layers="fc8"), input_shape=(1, 8, 8), classes=3, images=16,
                              device="cpu", threads=1)  # fmt: skip
    assert decode_request(encode(asked)) == asked
    with WorkerPool(1) as pool:
        choice = pool.choose_precision(asked, lambda: False)
    assert str(choice) == "float32: the engine numpy computes in it"
    (task,) = make_tasks(tmp_path, "squares.npz", "d" * 64, count=1)
    handed = Train(Task(task.label, task.job, task.folder, precision=choice), "cpu", 1, 1)
    assert decode_request(encode(handed)) == handed


@pytest.mark.slow
def test_workers_measure_it_once_for_the_study(tmp_path):
    """Whichever is faster here."""
    study = load(write_study(tmp_path, AUTO), seeds=2, out=tmp_path / "runs")
    assert study.run(device="cpu").is_complete
    (decided,) = set(environments(tmp_path / "runs").values())
    assert decided[1]
