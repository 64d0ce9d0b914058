"""Receptive fields by hand: small chains and branches, borders, and every status."""

import pytest

from striate.core.errors import NetworkError
from striate.nets.graph.graph import Graph, Node
from striate.nets.graph.receptive_field import ReceptiveFields


def chain(side, *steps, axes=1):
    """A graph of steps, each `(name, op, side, more)`; every step reads the step before unless `inputs` names others."""
    nodes = [Node(name="x", op="input", output_shape=(1, *[side] * axes), layer="x")]
    for name, op, side, more in steps:
        shape = more.pop("shape", (1, *[side] * axes))
        inputs = more.pop("inputs", (nodes[-1].name,))
        nodes.append(Node(name=name, op=op, inputs=inputs, output_shape=shape, layer=name, **more))
    return ReceptiveFields(Graph(nodes=tuple(nodes), output=nodes[-1].name))


def window(kernel, stride=1, padding=(0, 0), dilation=1, axes=1, **more):
    return {
        "kernel": (kernel,) * axes,
        "stride": (stride,) * axes,
        "padding": (padding,) * axes,
        "dilation": (dilation,) * axes,
        **more,
    }


def test_two_convolutions_and_a_pool_by_hand():
    """3 wide; pool 2: 3 + 1 = 4 wide, every 2 pixels; 3 wide at stride 2: 4 + 2 x 2 = 8."""
    fields = chain(
        16,
        ("conv1", "conv", 16, window(3, padding=(1, 1), axes=2)),
        ("pool1", "pool", 8, window(2, 2, axes=2)),
        ("conv2", "conv", 8, window(3, padding=(1, 1), axes=2)),
        axes=2,
    )
    solved = [fields.of(name) for name in ("x", "conv1", "pool1", "conv2")]
    assert [field.size for field in solved] == [(1, 1), (3, 3), (4, 4), (8, 8)]
    assert [field.stride for field in solved] == [(1, 1), (1, 1), (2, 2), (2, 2)]
    assert [field.center for field in solved] == [(0, 0), (0, 0), (0.5, 0.5), (0.5, 0.5)]
    assert {field.status for field in solved} == {"exact"}
    assert fields.box("conv2", (0, 0, 7)) == ((0, 5), (11, 16))
    assert fields.box("conv2", (0, 0, 7), clipped=False) == ((-3, 5), (11, 19))


def test_dilation_and_uneven_padding():
    """Taps at -2, 1, 4 around position 0 when 2 lie before the map."""
    fields = chain(10, ("conv", "conv", 8, window(3, dilation=3, padding=(2, 2))))
    assert fields.of("conv").size == (7,)
    assert fields.of("conv").center == (1.0,)
    assert fields.box("conv", (0, 0)) == ((1, 5),)  # the tap at -2 is padding, the next is 1


def test_a_pixel_that_a_stride_leaves_unread_is_in_no_box():
    """Blocks of 2 on 5 pixels leave the fifth; the padding of the next layer does not bring it back."""
    fields = chain(
        5, ("pool", "pool", 2, window(2, 2)), ("conv", "conv", 2, window(3, padding=(1, 1))), ("gap", "gap", 1, {})
    )
    assert fields.box("conv", (0, 1)) == ((0, 4),)
    assert fields.box("conv", (0, 1), clipped=False) == ((0, 6),)
    assert fields.box("gap", (0, 0)) == ((0, 4),)
    assert fields.status("gap") == "exact"


def test_units_that_see_only_padding_have_an_empty_box():
    fields = chain(4, ("conv", "conv", 6, window(1, padding=(1, 1))))
    assert [fields.box("conv", (0, i)) for i in (0, 1, 5)] == [((0, 0),), ((0, 1),), ((0, 0),)]


def test_branches_with_other_offsets_have_the_box_around_both():
    fields = chain(
        8,
        ("left", "conv", 8, window(3, padding=(2, 0))),
        ("right", "conv", 8, window(3, padding=(0, 2), inputs=("x",))),
        ("add", "add", 8, {"inputs": ("left", "right")}),
    )
    assert fields.of("add").size == (5,)
    assert fields.box("add", (0, 4)) == ((2, 7),)
    assert fields.status("add") == "exact"


def test_joined_channels_with_other_fields_are_an_upper_bound_until_a_layer_mixes_them():
    fields = chain(
        8,
        ("one", "conv", 8, window(1)),
        ("three", "conv", 8, window(3, padding=(1, 1), inputs=("x",))),
        ("concat", "concat", 8, {"inputs": ("one", "three"), "shape": (2, 8)}),
        ("depthwise", "conv", 8, window(1, groups=2)),
        ("mixed", "conv", 8, window(1)),
    )
    assert [fields.status(name) for name in ("three", "concat", "depthwise", "mixed")] == [
        "exact",
        "upper bound",
        "upper bound",
        "exact",
    ]


def test_branches_of_other_strides_are_an_upper_bound():
    """Every second pixel twice over, added to the pixels themselves: 1 or 2 wide."""
    fields = chain(
        4,
        ("halved", "pick", 2, window(1, 2)),
        ("doubled", "other", 4, {"windows": (((0, 1), (0, 1), (1, 2), (1, 2)),)}),
        ("add", "add", 4, {"inputs": ("doubled", "x")}),
    )
    assert fields.of("add").size == (2,)
    assert fields.of("add").stride == (None,)
    assert fields.status("add") == "upper bound"
    assert fields.box("add", (0, 1)) == ((0, 2),)


def test_squeeze_and_excitation_sees_the_whole_image():
    fields = chain(
        6,
        ("conv", "conv", 6, window(3, padding=(1, 1))),
        ("gap", "gap", 1, {}),
        ("gate", "conv", 1, window(1)),
        ("scaled", "multiply", 6, {"inputs": ("conv", "gate")}),
        ("next", "conv", 6, window(3, padding=(1, 1))),
    )
    assert fields.status("conv") == "exact"
    assert {fields.status(name) for name in ("gap", "gate", "scaled", "next")} == {"whole image"}
    assert fields.of("scaled") == fields.of("gap")
    assert fields.box("next", (0, 3)) == ((0, 6),)


@pytest.mark.parametrize(("whole", "status"), [(False, "exact"), (True, "whole image")])
def test_only_norms_that_mix_the_map_widen_the_field(whole, status):
    fields = chain(6, ("conv", "conv", 6, window(1)), ("norm", "norm", 6, {"whole": whole}))
    assert fields.status("norm") == status


def test_a_flattened_unit_keeps_its_place_unless_permuted():
    steps = [("pool", "pool", 2, window(2, 2, axes=2, shape=(3, 2, 2))), ("flatten", "flatten", 0, {"shape": (12,)})]
    fields = chain(4, *steps, axes=2)
    assert fields.box("flatten", (7,)) == ((2, 4), (2, 4))  # channel 1, row 1, column 1
    assert fields.box("flatten", (9,)) == ((0, 2), (2, 4))  # channel 2, row 0, column 1
    assert fields.of("flatten").size == (2, 2)
    steps = [
        ("pool", "pool", 2, window(2, 2, axes=2, shape=(3, 2, 2))),
        ("flatten", "flatten", 0, {"shape": (12,), "whole": True}),
        ("fc", "fc", 0, {"shape": (5,), "weight_shape": (5, 12)}),
    ]
    fields = chain(4, *steps, axes=2)
    assert fields.box("flatten", (7,)) == ((0, 4), (0, 4))
    assert fields.status("flatten") == "upper bound"
    assert fields.status("fc") == "whole image"


@pytest.mark.parametrize("certainty", ["upper bound", "depends on the data"])
def test_doubt_is_inherited(certainty):
    fields = chain(
        6,
        ("odd", "other", 6, {"whole": True, "certainty": certainty}),
        ("conv", "conv", 6, window(3, padding=(1, 1))),
        ("fc", "fc", 0, {"shape": (2,), "weight_shape": (2, 6)}),
    )
    assert {fields.status(name) for name in ("odd", "conv", "fc")} == {certainty}
    assert fields.box("odd", (0, 2)) == ((0, 6),)


def test_a_unit_that_is_not_there_is_refused():
    fields = chain(6, ("conv", "conv", 6, window(3, padding=(1, 1))))
    with pytest.raises(NetworkError, match=r"node 'conv' gives 1x6 values; it has no unit \(0, 6\)"):
        fields.box("conv", (0, 6))
    with pytest.raises(NetworkError, match="no node 'cov'"):
        fields.of("cov")
