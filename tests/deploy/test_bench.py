"""striate bench: what is timed and how, what cannot be, and that a faster way computes the same."""

import json
from itertools import islice

import numpy as np
import pytest
import torch
from torch import nn

from striate.cli import bench as command
from striate.core.errors import ConfigError
from striate.deploy import bench
from striate.deploy.pytorch import speed
from striate.engines.precision import PrecisionChoice
from striate.engines.pytorch.device import choose
from striate.nets import NetworkConfig
from striate.nets.pytorch.build import build
from striate.recipes import Recipe
from striate.report.speeds import ticks

SETUP = choose(Recipe(precision="float32"), "cpu", threads=1)


class Fake:
    """A way whose calls take what is said; the first of each batch takes longer."""

    precision = "float32"

    def __init__(self, name="fake", per_image=0.01, first=0.5, difference=None, missing=""):
        self.name, self._per_image, self._first, self._difference, self._missing = (
            name,
            per_image,
            first,
            difference,
            missing,
        )
        self.calls = {}

    def prepare(self, batch):
        if self._missing:
            raise bench.Unavailable(self._missing)

        def call():
            self.calls[batch] = self.calls.get(batch, 0) + 1
            return self._first if self.calls[batch] == 1 else self._per_image * batch

        return call

    def difference(self):
        return self._difference


def rows(*ways, batches=(1, 4), too_large=lambda batch: "", limit=1.0):
    return bench.measure(ways, batches, too_large, limit)


def test_a_row_has_its_speed_and_latency_without_the_warm_up():
    one, four = rows(Fake(per_image=0.1), limit=0.95)
    assert (one.batch, one.calls, one.images_per_second) == (1, 10, pytest.approx(10))
    assert (four.batch, four.calls, four.images_per_second) == (4, 3, pytest.approx(10))
    assert (four.p50_ms, four.p95_ms) == (pytest.approx(400), pytest.approx(400))


def test_a_quick_first_call_is_followed_by_others_before_the_clock_counts():
    way = Fake(per_image=0.05, first=0.05)
    (row,) = rows(way, batches=(1,), limit=0.2)
    assert way.calls[1] == row.calls + 6  # 6 x 0.05 s are a warm-up


def test_percentiles_are_numpy_s():
    values = np.random.default_rng(0).exponential(size=37).tolist()
    assert bench.percentiles(values) == pytest.approx(np.percentile(values, [50, 95]))


def test_what_cannot_be_measured_is_a_row_with_the_reason():
    made = rows(
        Fake("slow", per_image=2.0),
        Fake("absent", missing="no compiler"),
        Fake("wrong", difference=0.02),
        Fake("not a number", difference=float("nan")),
        Fake("right", difference=1e-6),
        batches=(1, 2, 64),
        too_large=lambda batch: "needs 90 GiB of memory" if batch == 64 else "",
    )
    reasons = {(row.way, row.batch): row.reason for row in made if row.reason}
    assert reasons == {
        ("slow", 64): "needs 90 GiB of memory",
        ("absent", 1): "no compiler",
        ("wrong", None): "gives other outputs: they differ by 2.0e-02",
        ("not a number", None): "gives other outputs: they differ by nan",
        ("right", 64): "needs 90 GiB of memory",
    }
    assert [row.reason for row in rows(Fake(per_image=2.0), batches=(1, 3))] == ["", "a call would take about 6 s"]
    assert [row.difference for row in made if row.way == "right"] == [1e-6] * 3


SHAPE = (3, 16, 16)
NETWORKS = {
    "with batch norm": {"layers": "conv8 pool conv16 fc16", "norm": "batch"},
    "with blocks": {"layers": "conv8 res(conv16s2 conv16) gap", "norm": "batch", "bias": False},
    "before the activation and after": {"layers": "conv8 conv8 fc8", "norm": "batch", "norm_position": "after"},
    "with other parts": {"layers": "conv8 pick2 conv8:group4 flatten~3 fc8", "logit_scale": 0.5},
    "of torchvision": {"torchvision": "shufflenet_v2_x0_5"},
    "3D": {"layers": "conv4 pool fc8", "dims": 3, "norm": "batch"},
}


def trained(fields):
    """A network whose batch norms have statistics."""
    torch.manual_seed(0)
    module = build(NetworkConfig.model_validate(fields), SHAPE, 5, 0)
    with torch.no_grad():
        for _ in range(3):
            module.train()(2 * torch.randn(8, *SHAPE) + 1)
    return module.eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_tuned_network_computes_the_same(name):
    module = trained(NETWORKS[name])
    before = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    tuned, images = speed.tuned(module), torch.randn(4, *SHAPE)
    with torch.inference_mode():
        assert torch.allclose(tuned(images), module(images), rtol=1e-4, atol=1e-5)
    assert all(torch.equal(before[key], tensor) for key, tensor in module.state_dict().items())
    if name in ("with batch norm", "with blocks", "of torchvision"):
        assert [part for part in tuned.modules() if isinstance(part, nn.BatchNorm2d)] == []


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.conv(x).mean((2, 3)) * (1 if x.sum() > 0 else 2)


def test_a_module_that_cannot_be_followed_is_computed_as_it_is():
    module, images = Branching().eval(), torch.ones(2, 3, 8, 8)
    assert torch.allclose(speed.tuned(module)(images), module(images))


def ways_of(module, shape=SHAPE):
    return {(way.name, way.precision): way for way in speed._ways(module, shape, SETUP)}


def test_every_way_gives_the_plain_outputs_and_seconds(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda module: module)
    monkeypatch.setattr(speed, "precision_by_units", lambda device: PrecisionChoice("bf16", ""))
    ways = ways_of(trained({"layers": "conv8 conv64 conv64 pool fc16", "norm": "batch"}))
    assert list(ways) == [
        ("eager", "float32"), ("tuned", "float32"), ("winograd", "float32"), ("compiled", "float32"), ("onnxruntime", "float32"),
        ("tuned", "bf16"),
    ]  # fmt: skip
    for (name, precision), way in ways.items():
        difference = way.difference()
        assert difference is None if name == "eager" else difference < (0.1 if precision == "bf16" else 1e-4), name
        assert way.prepare(2)() > 0


def test_a_way_that_is_not_here_says_why(monkeypatch):
    def no_compiler(module):
        def fail(images):
            raise RuntimeError("No working C++ compiler found in\n  clang++")

        return fail

    monkeypatch.setattr(torch, "compile", no_compiler)
    monkeypatch.setattr(
        speed, "precision_by_units", lambda device: PrecisionChoice("float32", "this processor has no bf16 units")
    )
    monkeypatch.setattr("striate.core.optional.importlib.util.find_spec", lambda name: None)
    made = bench.measure(ways_of(trained({"layers": "fc8"})).values(), (1,), lambda batch: "", 0.01)
    reasons = {(row.way, row.precision): row.reason for row in made if row.reason}
    assert reasons["compiled", "float32"] == "RuntimeError: No working C++ compiler found in"
    assert reasons["winograd", "float32"] == "no 3x3 convolution of stride 1"
    assert reasons["tuned", "bf16"] == "this processor has no bf16 units"
    assert "pip install 'striate[export]'" in reasons["onnxruntime", "float32"]


def test_on_a_gpu_events_are_timed_and_waited_for(monkeypatch):
    said = []

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            said.append("record")

        def synchronize(self):
            said.append("wait")

        def elapsed_time(self, end):
            return 12.0  # milliseconds

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: said.append("idle"))
    assert speed.seconds_of(lambda: said.append("call"), torch.device("cuda")) == 0.012
    assert said == ["idle", "record", "call", "record", "wait"]


@pytest.fixture
def few_ways(monkeypatch):
    """Neither torch's compiler nor ONNX, which take seconds."""
    every = speed._ways
    monkeypatch.setattr(speed, "_ways", lambda *of: islice(every(*of), 2))


def test_the_command_prints_a_table_json_and_a_figure(striate, tmp_path, few_ways):
    words = [
        "bench",
        "conv8 pool fc8",
        "--input",
        "3x16x16",
        "--batches",
        "1,2",
        "--seconds",
        "0.01",
        "--device",
        "cpu",
    ]
    code, out, err = striate(*words, "--figure", tmp_path / "speed.svg")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "conv8 pool fc8"
    assert "fastest in float32: " in out
    assert "The report says" not in out
    picture = (tmp_path / "speed.svg").read_text()
    assert picture.startswith("<svg")
    assert "eager float32" in picture
    data = json.loads(striate(*words, "--json")[1])
    assert [(row["way"], row["batch"]) for row in data["rows"]] == [
        ("eager", 1),
        ("eager", 2),
        ("tuned", 1),
        ("tuned", 2),
    ]
    assert data["speedup"] > 0
    assert data["threads"]


def test_a_run_is_timed_with_its_own_network(striate, run, few_ways):
    code, out, _ = striate("bench", run, "--batches", "1", "--seconds", "0.01", "--device", "cpu", "--json")
    assert code == 0
    assert json.loads(out)["input_shape"] == [1, 8, 8]
    code, _, err = striate("bench", run, "norm=batch")
    assert code == 1
    assert "leave the other words out" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["conv8", "--batches", "0"], "--batches: must be at most 12 whole numbers from 1 to 65,536"),
        (["conv8", "--batches", "1,two"], "got '1,two'"),
        (["conv8", "--batches", "1000000000000"], "--batches: must be"),
        (["conv8", "--figure", "a.jpg"], "--figure: must end in .svg, .png, .pdf, got 'a.jpg'"),
        (["conv8 cnv"], "'cnv' is not a layer"),
        (["conv8", "--device", "cuda"], "PyTorch finds no such device here"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_is_timed(striate, monkeypatch, words, message):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, out, err = striate("bench", *words)
    assert (code, out) == (1, "")
    assert message in err


def test_the_report_s_number_stands_beside_with_what_is_not_comparable():
    row = bench.Row(way="eager", precision="float32", batch=1, images_per_second=5.0, p50_ms=1.0, p95_ms=1.0, calls=3)
    faster = bench.Row(
        way="tuned", precision="float32", batch=4, images_per_second=15.0, p50_ms=1.0, p95_ms=1.0, calls=3
    )
    made = bench.Bench(
        network="report-e", input_shape=(3, 256, 256), classes=6, device="cpu", device_name="x", threads=2, versions={},
        rows=(row, faster), method=(), published=bench.PUBLISHED["report-e"],
    )  # fmt: skip
    assert made.speedup == 3
    first, second = command._answers(made)
    assert (
        "tuned with batches of 4, 15.0 images a second: 3.0 times the plain loop at its best (5.0, batches of 1)"
        in first
    )
    assert second.startswith("The report says 1,530.99 images a second. Not comparable: the report names no device")


def test_latencies_that_scatter_are_told():
    row = bench.Row(way="eager", precision="float32", batch=1, images_per_second=5.0, p50_ms=1.0, p95_ms=2.1, calls=3)
    calm = bench.Row(way="eager", precision="float32", batch=2, images_per_second=5.0, p50_ms=1.0, p95_ms=1.9, calls=3)
    facts = {"network": "x", "input_shape": (3, 8, 8), "classes": 6, "device": "cpu", "device_name": "x", "threads": 2}
    made = bench.Bench(**facts, versions={}, rows=(row, calm), method=())
    assert "In 1 of 2 rows p95 is more than 2 times p50: other programs may have been running." in command._answers(
        made
    )


def test_batches_are_sorted_and_each_once():
    assert command.batches_of("8, 1,8") == (1, 8)
    with pytest.raises(ConfigError, match="--batches"):
        command.batches_of(",".join(map(str, range(1, 20))))


def test_memory_that_is_not_there_is_not_asked_for(monkeypatch):
    monkeypatch.setattr(speed, "_free_memory", lambda device: 3.0 * 2**30)
    monkeypatch.setattr(speed, "measure", lambda ways, batches, too_large, limit: tuple(map(too_large, batches)))
    made = speed.bench("x", nn.Identity(), SHAPE, 5, device="cpu", batches=(1, 2), largest=2**30, seconds=1.0)
    assert made.rows == ("", "needs about 6 GiB of memory, 3 are free")


def test_memory_that_torch_keeps_from_earlier_rows_is_free(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10, 80))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 60)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 5)
    assert speed._free_memory(torch.device("cuda")) == 65


def test_a_batch_that_does_not_fit_after_all_is_a_row():
    with pytest.raises(bench.Unavailable, match="does not fit into memory"), speed._reasons():
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")


@pytest.mark.parametrize(
    ("low", "high", "marks"),
    [(3.2, 21, [5, 10, 20]), (0.04, 0.9, [0.05, 0.1, 0.2, 0.5]), (5.5, 8.5, [6, 7, 8]), (1500, 4e5, [2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5])],
)  # fmt: skip
def test_the_marks_of_a_speed_are_round_numbers(low, high, marks):
    assert ticks(low, high) == pytest.approx(marks)
