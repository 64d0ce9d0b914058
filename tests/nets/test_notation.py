"""The notation: what is read, the one spelling that is written, and where a caret stands under what cannot be read."""

import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from striate.core.errors import NetworkError
from striate.nets import NetworkConfig, parse, write
from striate.nets.layers import (
    Activate,
    AveragePool,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    LayerOverrides,
    Normalize,
    Pool,
    Residual,
    Subsample,
)
from striate.nets.notation import parser, printer
from striate.nets.pytorch.build import build
from striate.nets.pytorch.trace.tracer import trace
from striate.nets.summary.summarize import summarize
from striate.nets.summary.table import layer_table
from tests.nets.random_networks import layer_lists


@pytest.mark.parametrize(
    ("text", "layers"),
    [
        ("conv64", (Conv(filters=64, kernel=3, stride=1, padding=None, dilation=1, groups=1),)),
        ("conv64k5s2p0d2g4", (Conv(filters=64, kernel=5, stride=2, padding=0, dilation=2, groups=4),)),
        ("conv64k(2,2,1)p0", (Conv(filters=64, kernel=(2, 2, 1), padding=0),)),
        ("conv8k4psame conv8pvalid", (Conv(filters=8, kernel=4), Conv(filters=8, padding=0))),
        ("pool pool3 pool3s2p1", (Pool(), Pool(kernel=3), Pool(kernel=3, stride=2, padding=1))),
        ("pool(2,2,1)s(2,2,1)", (Pool(kernel=(2, 2, 1)),)),
        ("avgpool pick2 pick3 gap", (AveragePool(), Subsample(), Subsample(size=3), GlobalPool())),
        ("flatten flatten~7 flatten~0", (Flatten(), Flatten(permutation=7), Flatten(permutation=0))),
        ("fc128 drop0.5 drop.25", (Dense(units=128), Dropout(share=0.5), Dropout(share=0.25))),
        (
            "conv8:tanh fc8:nonorm",
            (
                Conv(filters=8, overrides=LayerOverrides(activation="tanh")),
                Dense(units=8, overrides=LayerOverrides(norm="none")),
            ),
        ),
        ("conv8:group4,gelu", (Conv(filters=8, overrides=LayerOverrides(norm="group", norm_groups=4, activation="gelu")),)),
        (
            "conv8:normafter,noact,lecun,nobias,zerobias",
            (
                Conv(
                    filters=8,
                    overrides=LayerOverrides(
                        norm_position="after", activation="none", init="lecun", bias=False, zero_bias=True
                    ),
                ),
            ),
        ),
        ("batch group8 group", (Normalize(norm="batch"), Normalize(norm="group", groups=8), Normalize(norm="group"))),
        ("relu leaky_relu layer", (Activate(activation="relu"), Activate(activation="leaky_relu"), Normalize(norm="layer"))),
        ("2xconv8 2x(pool gap)", (Conv(filters=8), Conv(filters=8), Pool(), GlobalPool(), Pool(), GlobalPool())),
        ("res(conv8 conv8)", (Residual(body=(Conv(filters=8), Conv(filters=8))),)),
        (
            "res( conv8s2 | conv8k1s2 ):noact",
            (
                Residual(
                    body=(Conv(filters=8, stride=2),),
                    shortcut=(Conv(filters=8, kernel=1, stride=2),),
                    activation="none",
                ),
            ),
        ),
        ("2xres(res(conv8))", (Residual(body=(Residual(body=(Conv(filters=8),)),)),) * 2),
    ],
)  # fmt: skip
def test_reads(text, layers):
    assert parse(text) == layers


@pytest.mark.parametrize(
    ("text", "shortest"),
    [
        ("conv64k3s1p1d1g1", "conv64"),
        ("conv64k(5,5)p2", "conv64k5"),
        ("conv64k(3,5)p(1,2)", "conv64k(3,5)"),
        ("conv64d2p2", "conv64d2"),
        ("conv64d2p1", "conv64p1d2"),
        ("conv64pvalid", "conv64p0"),
        ("conv64psame", "conv64"),
        ("conv64k2psame", "conv64k2psame"),
        ("conv64k3d2psame", "conv64d2"),
        ("conv64s2k5", "conv64k5s2"),
        ("pool2s2p0 pool2s1 avgpool2", "pool pool2s1 avgpool"),
        ("pick", "pick2"),
        ("drop.50", "drop0.5"),
        ("conv8:gelu,batch", "conv8:batch,gelu"),
        ("  conv8\n pool\t", "conv8 pool"),
        ("conv8 conv8", "conv8 conv8"),
        ("conv8 conv8 conv8", "3xconv8"),
        ("3x(conv8 pool)", "3x(conv8 pool)"),
        ("conv8 conv8 pool conv8 conv8 pool conv8 conv8 pool gap", "3x(conv8 conv8 pool) gap"),
        ("3x(3xconv8 pool)", "3x(3xconv8 pool)"),
        ("1xconv8 2x(conv8)", "3xconv8"),
        ("res(conv8 conv8 conv8) res(3xconv8) 1xres(3xconv8)", "3xres(3xconv8)"),
    ],
)
def test_writes_one_spelling(text, shortest):
    assert write(parse(text)) == shortest
    assert write(parse(shortest)) == shortest


def round_trip(layers):
    assert parse(write(layers)) == layers
    assert write(parse(write(layers))) == write(layers)


ANY_LAYERS = st.sampled_from([2, 3]).flatmap(layer_lists)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(ANY_LAYERS, st.integers(1, 4))
def test_writing_and_reading_is_the_identity(layers, times):
    round_trip(layers * times)


@settings(max_examples=300, deadline=None)
@given(st.text("convpolfcgares0123456789x(),:|~. kdw", max_size=30))
def test_any_text_is_read_or_refused_with_a_reason(text):
    # Any other exception fails.
    with contextlib.suppress(NetworkError):
        assert parse(text)


def test_a_planted_fault_in_the_writer_is_found(monkeypatch):
    monkeypatch.setattr(printer, "_times", lambda words, at, width: 3 if at + width < len(words) else 1)
    with pytest.raises(AssertionError, match="At index 1 diff"):
        round_trip(parse("conv8 pool conv16 pool"))


# The text, what the message says, and the text up to the caret.
MALFORMED = [
    ("conv", "'conv' is followed by its number of filters, as in conv64", "conv"),
    ("conv 64", "'conv' is followed by its number of filters", "conv"),
    ("pool conv0", "number of filters must be greater than or equal to 1, got 0", "pool conv"),
    ("pool cnv64", "'cnv64' is not a layer; did you mean 'conv'?", "pool "),
    ("Conv64", "'Conv64' is not a layer", ""),
    ("64", "'64' is not a layer; known here: avgpool, batch, conv", ""),
    ("rellu", "'rellu' is not a layer; did you mean 'relu'?", ""),
    ("batch:relu", "layers are separated by spaces", "batch"),
    ("group0", "'group0' is not a layer", ""),
    ("conv64k", "'k' (kernel) is followed by a number, as in k2", "conv64"),
    ("conv64k5k3", "kernel is given twice", "conv64k5"),
    (
        "conv64z3",
        "'z' cannot be read here: 'conv' is written conv64 or conv64k5s2p0; its letters are k (kernel)",
        "conv64",
    ),
    ("conv64s0", "stride must be greater than or equal to 1, got 0", "conv64"),
    ("conv64d0", "dilation must be greater than or equal to 1, got 0", "conv64"),
    ("conv8g0", "groups must be greater than or equal to 1, got 0", "conv8"),
    ("conv64k2", "an even kernel; write p0, or psame for one more pixel at the end", "conv64"),
    ("conv64k(3,4)", "an even kernel; write p0", "conv64"),
    ("conv64k(3", "sizes per axis are numbers with commas between, as in (2,2,1)", "conv64k"),
    ("conv64k(3,,3)", "sizes per axis are numbers with commas between", "conv64k"),
    ("conv64k(3,3,3,3)", "kernel must be one number, or one for each of 2 or 3 axes", "conv64"),
    ("conv64p", "'p' (padding) is followed by a number, as in p2, or psame or pvalid", "conv64"),
    ("conv64-pool", "'-' cannot be read here", "conv64"),
    ("conv64,pool", "',' cannot be read here", "conv64"),
    ("conv64(pool)", "layers are separated by spaces", "conv64"),
    ("conv64:", "after the colon and each comma comes a norm, activation, init or bias", "conv64:"),
    ("conv64:rellu", "'rellu' is not a norm, activation, init or bias; did you mean 'relu'?", "conv64:"),
    ("conv64:relu,tanh", "'tanh': activation is given twice", "conv64:relu,"),
    ("conv64:group0", "'group0': group norm needs at least one group", "conv64:"),
    ("pool0", "kernel must be greater than or equal to 1, got 0", "pool"),
    ("pool3psame", "'same' is for conv; a pool is padded by a number", "pool3"),
    ("pool:relu", "'pool' has no norm, activation, init or bias; only conv, fc and res do", "pool"),
    ("gap2", "'gap' takes no number", "gap"),
    ("fc", "'fc' is followed by its number of units, as in fc128", "fc"),
    ("fc64k3", "'k' cannot be read here: 'fc' is written fc128", "fc64"),
    ("drop", "'drop' is followed by its share to drop, as in drop0.5", "drop"),
    ("drop1", "share to drop must be less than 1, got 1.0", "drop"),
    ("drop0", "share to drop must be greater than 0, got 0.0", "drop"),
    ("flatten7", "'flatten' is written flatten, or flatten~7", "flatten"),
    ("flatten~", "'flatten' is written flatten, or flatten~7", "flatten"),
    ("0xconv8", "'0x': repeats from 1 to 2000 times", ""),
    ("pool 3x()", "nothing to repeat", "pool "),
    ("3x(conv8", "this parenthesis is not closed", "3x"),
    ("(conv8)", "a group is repeated, 3x(...), or a residual block, res(...)", ""),
    ("conv8)", "')' closes nothing", "conv8"),
    ("res", "res is followed by its layers in parentheses", "res"),
    ("pool res()", "a residual block needs layers", "pool "),
    ("res(conv8 | )", "after the bar come the layers of the shortcut", "res(conv8 "),
    ("res(conv8 | gap | gap)", "'|' separates the shortcut of res( ... | ... ), once", "res(conv8 | gap "),
    ("3x(conv8 | gap)", "'|' separates the shortcut of res( ... | ... ), once", "3x(conv8 "),
    ("conv8 | gap", "'|' separates a shortcut, and stands in res( ... | ... ) only", "conv8 "),
    ("res(conv8):batch", "'batch': after res(...) comes its activation", "res(conv8):"),
    ("conv8\npoool", "'poool' is not a layer; did you mean 'pool'?", "conv8 "),
    ("2000x(2xconv8)", "more than 2000 layers", ""),
    ("gap 999999999xconv8", "'999999999x': repeats from 1 to 2000 times", "gap "),
    ("gap 1001xres(conv8)", "more than 2000 layers", "gap "),
    ("40xres(40xres(conv8))", "more than 2000 layers", ""),
    (f"conv{'1' * 26}", "a number has at most 9 digits, got 26", "conv"),
    ("conv8k10001p0", "kernel must be less than or equal to 10000, got 10001", "conv8"),
    ("pool3s2p99999", "padding must be less than or equal to 10000, got 99999", "pool3s2"),
    (f"conv8:group{'1' * 26}", "is not a norm, activation, init or bias", "conv8:"),
]


@pytest.mark.parametrize(("text", "says", "before"), MALFORMED, ids=[case[0] for case in MALFORMED])
def test_a_syntax_error_points_at_its_character(text, says, before):
    with pytest.raises(NetworkError) as caught:
        parse(text)
    message, shown, caret = str(caught.value).split("\n")
    assert says in message
    assert shown == "  " + text.replace("\n", " ")
    assert caret == "  " + " " * len(before) + "^"


def test_in_a_long_text_the_caret_stands_under_the_same_character():
    with pytest.raises(NetworkError) as caught:
        parse("conv64 " * 30 + "blob " + "conv64 " * 30)
    _, shown, caret = str(caught.value).split("\n")
    assert shown[caret.index("^") :].startswith("blob")
    assert len(shown) < 100


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_nothing_is_no_network(text):
    with pytest.raises(NetworkError, match="the notation names no layer; write something like"):
        parse(text)


@pytest.mark.parametrize("inner", ["({}xconv8)", "res({}xconv8)", "res(conv8 | {}xconv8)", "({0}x({0}xconv8))"])
def test_no_number_of_repeats_fills_the_memory(inner):
    with pytest.raises(NetworkError, match="more than"):
        parse(f"{parser.MAX_LAYERS}x{inner.format(parser.MAX_LAYERS)}")


@pytest.mark.parametrize("text", ["9" * 5000 + "xconv8", "conv" + "9" * 5000, "conv8k(3," + "9" * 5000 + ")"])
def test_a_number_of_thousands_of_digits_is_refused_at_its_place(text):
    with pytest.raises(
        NetworkError, match=r"repeats from 1 to 2000 times|at most 9 digits|sizes per axis are numbers"
    ) as caught:
        parse(text)
    assert max(map(len, str(caught.value).splitlines())) < 160


def nested(depth, group="res("):
    return group * depth + "conv8" + ")" * depth


@pytest.mark.parametrize("group", ["res(", "2x(", "res(res(conv8) | "])
@pytest.mark.parametrize("depth", [parser.MAX_DEPTH + 1, 400, 20_000])
def test_too_many_parentheses_inside_each_other_are_refused_at_the_first_of_them(group, depth):
    with pytest.raises(
        NetworkError, match=f"more than {parser.MAX_DEPTH} parentheses inside each other|more than 2000"
    ) as caught:
        parse(nested(depth, group))
    _, shown, caret = str(caught.value).split("\n")
    assert shown[caret.index("^")] in "(2"


def test_the_deepest_network_is_built_counted_and_written():
    network = NetworkConfig(layers=nested(parser.MAX_DEPTH), norm="batch")
    assert network.layers == nested(parser.MAX_DEPTH)
    shape = (8, 4, 4)
    module = build(network, shape, 4, seed=0)
    total = sum(parameter.numel() for parameter in module.parameters())
    assert summarize(network, shape, 4).table.totals.parameters == total
    assert layer_table(trace(module, shape)).totals.parameters == total
