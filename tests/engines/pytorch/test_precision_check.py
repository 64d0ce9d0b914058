"""bf16 beside float32: timed by a false clock, compared with planted faults, asked once, and kept by a run."""

import itertools
import json
import re

import pytest
import torch
from torch import nn

from striate.core.errors import TrainingError
from striate.engines import precision, select
from striate.engines.precision import LEAST_SPEEDUP, Bf16Check, PrecisionChoice, PrecisionQuestion, checked, together
from striate.engines.pytorch import device, precision_check
from striate.nets import NetworkConfig
from striate.runs import read
from tests.engines.pytorch.conftest import make_job

NETWORK = NetworkConfig(layers="conv8 pool drop0.2 fc16", norm="batch")


def question(network=NETWORK, **changes) -> PrecisionQuestion:
    settings = {"engine": "torch", "input_shape": (1, 8, 8), "classes": 3, "images": 32, "device": "cpu", "threads": 1}
    return PrecisionQuestion(network=network, **{**settings, **changes})


def false_clock(float32: float, bf16: float, *, threads: int = 1, stopped: float = 0.0):
    """A step takes so many seconds; the clock is read before both, between them, and after both.

    Each of the threads is busy all the time. In every step in bf16 the process is stopped for `stopped` seconds.
    """
    wall = itertools.cycle([0.0, float32, float32 + bf16 + stopped])
    process = itertools.cycle([0.0, threads * float32, threads * (float32 + bf16)])
    return lambda: (next(wall), next(process))


@pytest.fixture
def units(monkeypatch):
    """A processor with units for bf16, whatever this one has."""
    monkeypatch.setattr(device, "_has_bf16_units", lambda _: True)


@pytest.fixture
def answers(monkeypatch, units):
    """What the check finds; a test may change it."""
    found = {"check": Bf16Check(speedup=2.0), "asked": []}
    monkeypatch.setattr(precision, "checked", lambda asked, measure: (found["asked"].append(asked), found["check"])[1])
    return found


class Recorded(nn.Module):
    """A network that notes how many images it gets, and in which precision; `fault` is applied to what it computes in bf16."""

    def __init__(self, fault=lambda hidden: hidden) -> None:
        super().__init__()
        self.hidden, self.out, self.fault = nn.Linear(64, 32), nn.Linear(32, 3), fault
        self.out.weight.data /= 10  # so that the gradient of `hidden` is a small share of the whole
        self.steps: list[tuple[int, str]] = []

    def forward(self, images):
        is_bf16 = torch.is_autocast_enabled("cpu")
        self.steps.append((len(images), "bf16" if is_bf16 else "float32"))
        hidden = self.hidden(images.flatten(1))
        return self.out((self.fault(hidden) if is_bf16 else hidden).relu())


class Flipped(torch.autograd.Function):
    """Right outputs and a wrong sign in the gradient."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        return -g


class NoGradient(torch.autograd.Function):
    """Right outputs, and a gradient that is no number."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        return g * float("nan")


class NotFinite(Recorded):
    """A network that overflows in float32 too."""

    def forward(self, images):
        return super().forward(images) * float("inf")


def measured(monkeypatch, module, float32=0.01, bf16=0.005, images=32, **on_clock) -> Bf16Check:
    monkeypatch.setattr(precision_check, "build", lambda *_, **__: module)
    return precision_check.measure(question(images=images), false_clock(float32, bf16, **on_clock))


@pytest.mark.parametrize(
    ("bf16", "on_clock", "speedup"),
    [(0.005, {}, 2.0), (0.02, {}, 0.5), (0.005, {"threads": 4}, 2.0), (0.005, {"stopped": 1000.0}, 2.0)],
)
def test_the_speedup_is_that_of_the_steps(monkeypatch, bf16, on_clock, speedup):
    check = measured(monkeypatch, Recorded(), bf16=bf16, **on_clock)
    assert check.speedup == pytest.approx(speedup)
    assert check.disagreement == ""


def test_both_ways_take_turns_and_a_small_network_is_tried_on_the_whole_batch(monkeypatch):
    module = Recorded()
    measured(monkeypatch, module)
    assert [images for images, _ in module.steps] == [4] * 4 + [32] * 40  # 0.3 s of 0.015 s
    assert [name for _, name in module.steps] == ["float32", "bf16"] * (len(module.steps) // 2)


def test_a_large_network_is_tried_on_a_part_of_the_batch_within_the_time(monkeypatch):
    module = Recorded()
    measured(monkeypatch, module, float32=0.12, bf16=0.08, images=100)
    assert [images for images, _ in module.steps] == [4] * 4 + [7] * 8
    module = Recorded()
    check = measured(monkeypatch, module, float32=0.5, bf16=45.0, images=128)
    assert module.steps == [(4, "float32"), (4, "bf16")]
    assert check.speedup == pytest.approx(0.5 / 45)


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (lambda hidden: 20 * hidden, r"the outputs differ by \d+% in bf16 here"),
        (lambda hidden: hidden * float("nan"), "the outputs are not finite in bf16 here"),
        (NoGradient.apply, "the gradient of hidden.weight is not finite in bf16 here"),
        (Flipped.apply, "the gradient of hidden.weight differs by (199|200|201)%"),
        (
            lambda hidden: hidden.detach() + 0.1 * (hidden - hidden.detach()),
            "the gradient of hidden.weight differs by (89|90|91)%",
        ),
    ],
    ids=["outputs", "not finite", "gradient not finite", "sign of a gradient", "a tenth of a gradient"],
)
def test_a_wrong_result_is_refused_however_fast_it_is(monkeypatch, fault, text):
    check = measured(monkeypatch, Recorded(fault))
    assert check.speedup > LEAST_SPEEDUP
    assert check.choice().precision == "float32"
    assert re.search(text, check.choice().reason)


def test_what_float32_cannot_compute_either_is_no_fault_of_bf16(monkeypatch):
    assert measured(monkeypatch, NotFinite()).choice().reason == "the outputs are not finite in float32 here"


def test_a_gradient_that_is_zero_both_ways_is_no_fault(monkeypatch):
    module = Recorded()
    module.out.weight.data.zero_()  # so that nothing reaches `hidden`
    assert measured(monkeypatch, module).disagreement == ""


@pytest.mark.parametrize(
    ("layers", "norm"),
    [
        ("conv8 pool drop0.2 fc16", "batch"),
        ("conv4 pool fc8", "none"),
        ("conv16 pool res(conv16 conv16) pool fc16", "batch"),
    ],
)
def test_rounding_is_not_taken_for_a_fault(layers, norm):
    asked = question(NetworkConfig(layers=layers, norm=norm))
    assert precision_check.measure(asked, false_clock(0.01, 0.005)).disagreement == ""


def test_a_check_changes_neither_random_numbers_nor_threads():
    before = torch.get_num_threads(), torch.get_rng_state()
    precision_check.measure(question(threads=before[0] + 1), false_clock(0.5, 0.5))
    assert torch.get_num_threads() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])


def test_the_limit_decides_and_the_words_say_what_was_measured():
    words = [str(Bf16Check(speedup=speedup).choice()) for speedup in (1.9, LEAST_SPEEDUP, 1.1, 0.8, 0.02)]
    assert words == [
        "bf16: 1.9 times as fast as float32 here",
        "bf16: 1.1 times as fast as float32 here",
        "float32: bf16 is only 1.1 times as fast here",
        "float32: bf16 is 0.8 times as fast here",
        "float32: bf16 is 0.02 times as fast here",
    ]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STRIATE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "precision"


def test_it_is_measured_once_for_what_is_asked(cache):
    calls = []

    def measure():
        calls.append(1)
        return Bf16Check(speedup=1.5, disagreement="")

    assert checked({"threads": 1}, measure) == checked({"threads": 1}, measure) == Bf16Check(speedup=1.5)
    assert len(calls) == 1
    checked({"threads": 2}, measure)
    assert len(calls) == 2
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("content", ["", "{", "[]", '{"asked": {"threads": 1}, "check": {"speedup": -1}}',
                                     '{"asked": {"threads": 2}, "check": {"speedup": 3.0}}'])  # fmt: skip
def test_a_broken_file_is_measured_again_and_mended(cache, content):
    asked = {"threads": 1}
    checked(asked, lambda: Bf16Check(speedup=1.5))
    (path,) = cache.iterdir()
    path.write_text(content)
    assert checked(asked, lambda: Bf16Check(speedup=1.7)).speedup == 1.7
    assert checked(asked, lambda: Bf16Check(speedup=1.8)).speedup == 1.7


def test_without_a_cache_it_is_measured_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("STRIATE_CACHE", str(tmp_path / "file"))
    assert checked({}, lambda: Bf16Check(speedup=1.5)).speedup == 1.5


def test_what_decides_is_part_of_the_question(answers, monkeypatch):
    for changes in ({}, {"threads": 2}, {"images": 16}, {"input_shape": (3, 8, 8)}, {"classes": 4},
                    {"network": NetworkConfig(layers="conv8 pool fc16")}):  # fmt: skip
        precision_check.choose_precision(question(**changes))
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    precision_check.choose_precision(question())
    asked = [json.dumps(one, sort_keys=True) for one in answers["asked"]]
    assert len(set(asked)) == 7


def test_nothing_is_measured_without_units_or_after_earlier_runs(answers, monkeypatch):
    choose = precision_check.choose_precision
    assert choose(question(earlier="float32")).precision == "float32"
    assert str(choose(question(earlier="bf16"))) == "bf16: as in the earlier runs of the study"
    monkeypatch.setattr(device, "_has_bf16_units", lambda _: False)
    assert str(choose(question())) == "float32: this processor has no bf16 units"
    assert choose(question(earlier="bf16")).precision == "float32"
    assert answers["asked"] == []


def test_a_network_that_cannot_be_tried_is_left_in_float32(monkeypatch, units):
    def no_bf16(*_):
        raise RuntimeError('"exotic" not implemented for BFloat16')

    monkeypatch.setattr(precision, "checked", no_bf16)
    assert str(precision_check.choose_precision(question())) == "float32: bf16 cannot be tried here (RuntimeError)"


def test_a_gpu_is_asked_for_its_units_only(monkeypatch):
    monkeypatch.setattr(device, "_has_bf16_units", lambda _: True)
    assert str(device.precision_by_units(torch.device("cuda"))) == "bf16: this GPU has bf16 units"
    assert device.precision_by_units(torch.device("mps")).precision == "float32"


def test_arms_share_the_precision_that_none_is_slower_in():
    fast, slow = Bf16Check(speedup=1.9).choice(), Bf16Check(speedup=0.8).choice()
    faster = Bf16Check(speedup=2.5).choice()
    assert together([("a", fast), ("b", fast)]) == fast
    assert str(together([("a", faster), ("b", fast)])) == "bf16: 1.9 times as fast as float32 here (arm 'b')"
    assert str(together([("a", fast), ("b", slow)])) == "float32: bf16 is 0.8 times as fast here (arm 'b')"
    wrong = Bf16Check(speedup=9.0, disagreement="the outputs differ by 40% in bf16 here").choice()
    assert str(together([("a", fast), ("b", wrong)])) == "float32: the outputs differ by 40% in bf16 here (arm 'b')"


def test_a_run_states_its_precision_and_what_decided_and_keeps_both(tmp_path, dataset, answers):
    job = make_job(dataset, epochs=2)
    steps = iter([False] * 3 + [True])
    select.train(job, tmp_path / "run", "cpu", dataset=dataset, threads=1, should_stop=lambda: next(steps))
    began = read(tmp_path / "run").environment
    assert (began.precision, began.precision_reason) == ("bf16", "2.0 times as fast as float32 here")
    answers["check"] = Bf16Check(speedup=0.5)
    assert select.train(job, tmp_path / "run", "cpu", dataset=dataset, threads=1).state == "finished"
    ended = read(tmp_path / "run").environment
    assert (ended.precision, ended.precision_reason) == (began.precision, began.precision_reason)
    select.train(job, tmp_path / "other", "cpu", dataset=dataset, threads=1)
    assert read(tmp_path / "other").environment.precision == "float32"


def test_a_run_that_began_in_bf16_is_refused_where_there_are_no_units(tmp_path, dataset, answers, monkeypatch):
    job = make_job(dataset, epochs=2)
    steps = iter([False] * 3 + [True])
    select.train(job, tmp_path, "cpu", dataset=dataset, threads=1, should_stop=lambda: next(steps))
    monkeypatch.setattr(device, "_has_bf16_units", lambda _: False)
    with pytest.raises(TrainingError, match="began on cpu in bf16 and would resume on cpu in float32"):
        select.train(job, tmp_path, "cpu", dataset=dataset, threads=1)


def test_what_the_study_chose_is_not_measured_and_what_the_recipe_states_comes_first(tmp_path, dataset, answers):
    chosen = PrecisionChoice("float32", "bf16 is 0.8 times as fast here (arm 'b')")
    options = {"dataset": dataset, "threads": 1}
    select.train(make_job(dataset, epochs=1), tmp_path / "auto", "cpu", chosen, **options)
    assert read(tmp_path / "auto").environment.precision_reason == chosen.reason
    select.train(make_job(dataset, epochs=1, precision="bf16"), tmp_path / "stated", "cpu", chosen, **options)
    environment = json.loads((tmp_path / "stated" / "env.json").read_text())
    assert environment["precision"] == "bf16"
    assert "precision_reason" not in environment
    assert answers["asked"] == []
