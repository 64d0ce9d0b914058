"""The benchmarks' own checks: the networks are one, a switch must do something, what fails is a row. Nothing is timed."""

import json
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
MODULES = ("common", "networks", "plain", "peers", "training_speed", "study_throughput", "engine_speed", "explain")


@pytest.fixture
def bench(monkeypatch):
    """The scripts' modules by name, as when one of them is run."""
    import importlib

    monkeypatch.syspath_prepend(FOLDER)
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield {name: importlib.import_module(name) for name in MODULES}
    for name in MODULES:
        sys.modules.pop(name, None)


def test_each_network_is_one_however_it_is_written(bench):
    for name in bench["networks"].CASES:
        bench["training_speed"].check_same_network(name)


def test_another_network_is_found(bench, monkeypatch):
    import dataclasses

    cases = bench["networks"].CASES
    monkeypatch.setitem(cases, "A1", dataclasses.replace(cases["A1"], striate={"layers": "report-d"}))
    with pytest.raises(RuntimeError, match=r"A1: .* parameters here and 1,860 as torch layers"):
        bench["training_speed"].check_same_network("A1")


def test_a_bf16_switch_that_does_nothing_is_found(bench):
    import torch

    case = bench["networks"].CASES["A1"]
    module, images = bench["networks"].torch_module(case.steps, 1), torch.zeros(2, 1, 32, 32)
    with pytest.raises(RuntimeError, match="no effect here"), bench["plain"].checking_bf16(module, True):
        module(images)
    with bench["plain"].checking_bf16(module, True), torch.autocast("cpu", torch.bfloat16):
        module(images)


def test_the_clock_leaves_the_warm_up_out(bench, monkeypatch):
    now = iter([0.0, 10.0, 20.0, 30.0, 31.0, 32.0, 33.0])  # begin, three slow steps, then one a second
    monkeypatch.setattr(bench["common"].time, "perf_counter", lambda: next(now))
    watch = bench["common"].Stopwatch(seconds=3.0, _began=0.0)
    watch.begin()
    assert [watch.step(64) for _ in range(6)] == [False, False, False, False, False, True]
    assert watch.results == {"images_per_second": 64.0}


def test_the_clock_stops_at_the_accuracy(bench):
    watch = bench["common"].Stopwatch(seconds=1.0, target=0.5)
    assert not watch.validated(0.4)
    assert watch.results == {"best_accuracy": 40.0}
    assert watch.validated(0.5)
    assert watch.results["accuracy"] == 50.0


def test_what_failed_is_a_row_with_its_reason(bench):
    good = {"images_per_second": 200.0, "megabytes": 1.0, "version": "1"}
    results = {
        "keras": [{"failed": "not installed: keras"}],
        "plain": [{**good, "images_per_second": 100.0}],
        "striate": [good],
    }
    keras, plain, _ = bench["training_speed"].rows(results, "images_per_second")
    assert keras[2:4] == ["0", "failed: not installed: keras"]
    assert plain[4] == "2.00 (2.00 to 2.00)"


def test_a_process_that_dies_is_a_failure(bench, tmp_path):
    script = tmp_path / "dies.py"
    script.write_text("import sys\nsys.exit('no memory')\n")
    assert bench["common"].run_in_process(str(script), "x", {}) == {"failed": "ended with code 1: no memory"}
    script.write_text("import time\ntime.sleep(1000)\n")
    assert bench["common"].run_in_process(str(script), "x", {}, limit=0.5)["failed"].startswith("not done after")


@pytest.mark.slow
@pytest.mark.parametrize("contender", ["plain, 0 workers", "plain bf16, 0 workers", "striate"])
def test_a_contender_is_timed(bench, contender, tmp_path):
    import numpy as np

    rng = np.random.default_rng(0)
    path = tmp_path / "noise.npz"
    arrays = {
        f"{part}_{what}": rng.integers(0, high, shape, np.uint8).astype(kind)
        for part in ("train", "test")
        for what, high, shape, kind in (("images", 255, (2000, 32, 32, 3), np.uint8), ("labels", 10, 2000, np.int64))
    }
    np.savez(path, **arrays)
    config = {"data": str(path), "limit": None, "seconds": 0.5, "to_accuracy": None, "epochs": 1000}
    results = bench["common"].run_in_process(
        str(FOLDER / "training_speed.py"), contender, json.loads(json.dumps({**config, "network": "A1", "seed": 0}))
    )
    assert results["images_per_second"] > 0


@pytest.mark.parametrize("network", ["A1", "D1"])
def test_the_engines_are_timed_on_one_network(bench, network):
    from striate.nets import NetworkConfig
    from striate.nets.summary.summarize import count_parameters

    module, said = bench["engine_speed"].torch_module(network), bench["engine_speed"].NETWORKS[network]
    theirs = sum(parameter.numel() for parameter in module.parameters())
    assert theirs == count_parameters(NetworkConfig(layers=said["layers"]), said["shape"], 10)


def test_an_engine_that_is_not_there_is_a_row_with_its_reason(bench):
    there = [{"speed": 20.0, "megabytes": 64.0}, {"speed": 30.0, "megabytes": 65.0}]
    torch = [{"speed": 10.0, "megabytes": 1.0}, {"speed": 10.0, "megabytes": 1.0}]
    row = bench["engine_speed"].row
    assert row("numpy", there, torch) == ["numpy", "2", "25 (20 to 30)", "2.50 (2.00 to 3.00)", "64 (64 to 65)"]
    assert row("dezero", [{"failed": "not installed: dezero"}], torch) == [
        "dezero",
        "0",
        "not installed: dezero",
        "",
        "",
    ]
    once = [there[0], {"failed": "torn"}]
    assert row("numpy", once, torch)[1:4] == ["1", "20 (20 to 20) torn", "2.00 (2.00 to 2.00)"]


def test_the_loop_with_a_hook_finds_the_same_patches(bench, monkeypatch):
    import numpy as np

    from striate.explain.images import ImageSet

    rng = np.random.default_rng(0)
    images = ImageSet(
        images=rng.integers(0, 256, (40, 32, 32, 3), np.uint8),
        labels=rng.integers(0, 10, 40),
        mean=np.full(3, 0.5),
        std=np.full(3, 0.25),
        classes=tuple("abcdefghij"),
    )
    explain = bench["explain"]
    monkeypatch.setattr(explain, "images_of", lambda config: images)
    monkeypatch.setattr(explain, "CALLS", 2)
    ours, theirs = explain.ours({}), explain.hooks({}, are_ready=True)
    assert ours["sum"] == pytest.approx(theirs["sum"], rel=1e-5)
    assert ours["sum"] > 0
