"""Claims that no training decides: the program computes the number, or measures it, each time the page is made."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from striate.nets import NETWORKS, NetworkConfig
from striate.nets.layers import Shape, shape_text
from striate.nets.summary.summarize import summarize
from striate.nets.summary.table import LayerTable

HOLDS, FAILS = "holds", "does not hold"
MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the table of claims."""

    row: str
    who: str
    says: str
    measured: str
    verdict: str
    command: str = ""
    link: str = ""  # to its section of the page, or to another page


def facts() -> list[Row]:
    """All of them, in the order of their rows."""
    return sorted([*_sizes(), *_first_layer(), *_operators(), *_by_hand(), *_initialization()], key=lambda row: row.row)


def _sizes() -> Iterator[Row]:
    """Parameters, neurons and memory of the networks of the reports."""
    a, b, d, e = "report A, question 1", "report B", "report D, questions 4 to 6", "report E, question 1"
    total = _table("report-a").totals.parameters
    yield _number("A1", a, "1,860 parameters", 1860, total, "striate summary report-a")
    wide = _table("report-a", layers="conv64k2s2p0 pool conv10k2s2p0 pool conv10k2s2p0").totals.parameters
    yield Row(
        row="A1",
        who=a,
        says="64 filters in the first layer",
        measured=f"64 filters make {wide:,} parameters; the {total:,} of the report are those of 32",
        verdict=_word(wide == 1860),
        command="striate summary report-a",
    )
    volume = _table("report-a-3d").totals.parameters
    yield Row(
        row="A2",
        who="report A, question 2",
        says="around 1 million parameters (channels not given)",
        measured=f"{volume:,} with 128, 256 and 10 channels",
        verdict=_word(abs(volume - 1e6) < 1e5),
        command="striate summary report-a-3d",
    )
    after = {"report-b-fc": (60_000, "an fc layer"), "report-b-gap": (600, "global average pooling")}
    for name, (stated, layer) in after.items():
        count = _table(name).totals.parameters
        yield Row(
            row="B2",
            who=b,
            says=f"about {stated:,} parameters with one conv layer and {layer}",
            measured=f"{count:,}",
            verdict=_word(abs(count - stated) < 0.05 * stated),
            command=f"striate summary {name}",
        )
    yield from _shares(d)
    table = _table("report-e").totals
    yield _number("E1", e, "16,154,950 parameters", 16_154_950, table.parameters, "striate summary report-e")
    sizes = (table.input_bytes, table.forward_backward_bytes, table.parameters_bytes, table.total_bytes)
    shown = [f"{size / MIB:.2f}" for size in sizes]
    yield Row(
        row="E1",
        who=e,
        says="0.75 MB for the input, 218.82 forward and backward, 61.63 for the parameters, 281.19 in all",
        measured=", ".join(shown) + " (a MB of 2^20 bytes)",
        verdict=_word(shown == ["0.75", "218.82", "61.63", "281.19"]),
        command="striate summary report-e",
    )


def _shares(who: str) -> Iterator[Row]:
    """Conv and fc layers of network D1, in parameters and in neurons. The report cuts its percentages off."""
    totals = _table("report-d").totals
    yield _number("D1", who, "6,216,074 parameters", 6_216_074, totals.parameters, "striate summary report-d")
    yield _number("D1", who, "133,130 neurons", 133_130, totals.neurons, "striate summary report-d")
    stated = (
        ("parameters", totals.parameters_of, {"conv": (960_896, 15.45), "fc": (5_255_178, 84.54)}),
        ("neurons", totals.neurons_of, {"conv": (131_072, 98.45), "fc": (2_058, 1.54)}),
    )
    for what, parts, claims in stated:
        whole = sum(parts.values())
        holds = all(
            parts[kind] == count and math.floor(1e4 * parts[kind] / whole) / 100 == share
            for kind, (count, share) in claims.items()
        )
        yield Row(
            row="D1",
            who=who,
            says=f"{what}: " + ", ".join(f"{kind} {n:,} ({share} %)" for kind, (n, share) in claims.items()),
            measured=", ".join(f"{kind} {parts[kind]:,} ({100 * parts[kind] / whole:.3f} %)" for kind in claims),
            verdict=_word(holds),
            command="striate summary report-d",
        )


def _first_layer() -> Iterator[Row]:
    who = "report E, questions, 1"
    color, gray = (_table("report-e", shape=(channels, 256, 256)).rows[0] for channels in (3, 1))
    command = "striate summary report-e --input 1x256x256"
    with_color = "striate summary report-e"
    yield _number("E3", who, "1,768 parameters in the first layer with 3 channels", 1768, color.parameters, with_color)
    yield _number("E3", who, "2,560 parameters with 1 channel", 2560, gray.parameters, command)
    yield Row(
        row="E3",
        who=who,
        says="the feature maps stay as many",
        measured=f"{shape_text(color.output_shape)} with 3 channels, {shape_text(gray.output_shape)} with 1",
        verdict=_word(color.output_shape == gray.output_shape),
        command=command,
    )


def _operators() -> Iterator[Row]:
    """Report B's answers on operators: (linear, equivariant) as it states them, beside what the probe measures."""
    from generate import operator_modules, probed

    who, command = "report B, theoretical question 3", "striate probe report-d"
    stated = {
        "relu": (False, True),
        "the first pixel of each 2x2 block": (False, True),
        "adding a bias": (True, False),
        "fc on a flattened map": (True, False),
    }
    modules = operator_modules()
    for name, (linear, invariant) in stated.items():
        found = probed(modules[name])
        is_linear, shifts = found.linearity.verdict == "yes", found.equivariance
        is_invariant = shifts.where == "everywhere" and shifts.step == 1
        yield Row(
            row="B8",
            who=who,
            says=f"{name}: {_words(linear, invariant)}",
            measured=f"linear: {found.linearity.verdict}; shift-equivariant: {shifts.verdict}",
            verdict=_word((is_linear, is_invariant) == (linear, invariant)),
            command=command,
            link="explain.md",
        )
    found = probed(modules["3x3 convolution, circular padding"], -2)
    yield Row(
        row="B8",
        who="report B, theoretical question 1",
        says="the impulse response of a linear shift-invariant operator is the filter of its convolution",
        measured="the response of a 3x3 convolution to a unit impulse is its kernel, turned around, but for rounding",
        verdict=_word(found.is_kernel is not None and found.is_kernel < 1e-9),
        command=command,
        link="explain.md",
    )


def _words(linear: bool, invariant: bool) -> str:
    return f"{'linear' if linear else 'not linear'}, {'' if invariant else 'not '}translation invariant"


def _by_hand() -> Iterator[Row]:
    from striate.engines.scratch import walkthrough
    from striate.engines.scratch.ops.windows import unfold

    who, link = "report E, question 2", "from-scratch.md"
    forward, backward = walkthrough.forward(walkthrough.MAP), walkthrough.backward(walkthrough.MAP)
    pooled, squashed = forward["pooled"].ravel(), forward["squashed"].ravel()
    printed = np.array([0.57668998, 0.56591413, 0.64723333, 0.5471594])
    yield Row(
        row="E5",
        who=who,
        says="max pool of the 4x4 map: .3092 .2652 .6069 .1892; its sigmoid: .57668998 .56591413 .64723333 .5471594",
        measured=f"{_numbers(pooled, 4)}; {_numbers(squashed, 8)}",
        verdict=_word(list(pooled) == [0.3092, 0.2652, 0.6069, 0.1892] and np.abs(squashed - printed).max() < 6e-9),
        link=link,
    )
    values = np.random.default_rng(0).normal(size=(1, 9, 9, 3))
    filters = np.random.default_rng(1).normal(size=(2, 2, 3, 5))
    patches = np.asarray(unfold(values, walkthrough.SLIDE))
    product = patches.reshape(64, -1) @ filters.reshape(-1, 5)
    loops = [np.einsum("rsc,rscd->d", values[0, p : p + 2, q : q + 2], filters) for p, q in np.ndindex(8, 8)]
    yield Row(
        row="E6",
        who=who,
        says="convolution by unfolding gives the same result",
        measured=f"one matrix product and direct loops differ by less than {_bound(np.abs(product - loops).max())}",
        verdict=_word(np.allclose(product, loops, atol=1e-12)),
        link=link,
    )
    numeric = walkthrough.numeric(lambda x: float(walkthrough.forward(x)["loss"].item()), walkthrough.MAP)
    difference = np.abs(backward["map"].ravel() - numeric.ravel()).max()
    yield Row(
        row="E7",
        who=who,
        says="the chain rule, layer by layer, gives the gradient",
        measured=f"the gradient of the 4x4 map by formulas and by small changes differ by less than {_bound(difference)}",
        verdict=_word(difference < 1e-8),
        link=link,
    )


def _initialization() -> Iterator[Row]:
    """PyTorch's own layers as they are made."""
    import torch
    from torch import nn

    who = "report E, questions, 3"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = {"Conv2d(3, 256, 3)": (nn.Conv2d(3, 256, 3), 27), "Linear(256, 128)": (nn.Linear(256, 128), 256)}
    zeros = sum(int((layer.bias == 0).sum()) for layer, _ in layers.values())
    biases = sum(layer.bias.numel() for layer, _ in layers.values())
    ends = [f"{name}: within {1 / math.sqrt(inputs):.4f}" for name, (_, inputs) in layers.items()]
    within = all(
        tensor.abs().max() <= 1 / math.sqrt(inputs)
        for layer, inputs in layers.values()
        for tensor in layer.parameters()
    )
    yield Row(
        row="E8",
        who=who,
        says="PyTorch initializes biases to zero",
        measured=f"{zeros} of {biases} biases are 0; they are drawn like the weights ({'; '.join(ends)})",
        verdict=_word(zeros == biases),
        link="networks.md",
    )
    yield Row(
        row="E8",
        who=who,
        says="PyTorch draws the weights of conv and fc layers from a uniform distribution within a certain range",
        measured="all within 1 / sqrt(inputs of a unit)",
        verdict=_word(within),
        link="networks.md",
    )


def _table(name: str, *, shape: Shape | None = None, **changes: Any) -> LayerTable:
    named = NETWORKS[name]
    config = NetworkConfig(**{**named.config, **changes})
    return summarize(config, shape or named.input_shape, named.classes).table


def _number(row: str, who: str, says: str, stated: int, computed: int, command: str) -> Row:
    return Row(
        row=row, who=who, says=says, measured=f"{computed:,}", verdict=_word(stated == computed), command=command
    )


def _word(holds: Any) -> str:
    return HOLDS if holds else FAILS


def _numbers(values: np.ndarray, digits: int) -> str:
    return " ".join(f"{value:.{digits}f}"[1:] for value in values)


def _bound(value: float) -> str:
    """A round number above a difference that is rounding, so that the page is the same on every machine."""
    return next(text for text in ("1e-12", "1e-8", "1e-4", "1") if value < float(text))
