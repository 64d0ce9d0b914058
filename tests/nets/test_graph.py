"""Graphs refuse what is not one, and nodes count what they cost."""

import pytest

from striate.core.errors import NetworkError
from striate.nets.graph.graph import Graph, Node


def node(name, op="activation", inputs=("x",), shape=(1, 4, 4), **more):
    return Node(name=name, op=op, inputs=inputs, output_shape=shape, layer=name, **more)


X = node("x", "input", ())


@pytest.mark.parametrize(
    ("nodes", "output", "message"),
    [
        ((X, node("a"), node("a")), "a", "two nodes are called 'a'"),
        ((X, node("a", inputs=("b",)), node("b")), "b", "'a' reads 'b'"),
        ((X, node("a", inputs=())), "a", "'a' .activation.: the input has no inputs"),
        ((X, node("y", "input", ())), "x", "the first node, and no other, must be the input"),
        ((X,), "b", "the output 'b' is not a node"),
    ],
)
def test_what_is_no_graph_is_refused(nodes, output, message):
    with pytest.raises(NetworkError, match=message):
        Graph(nodes=nodes, output=output)


def test_a_graph_knows_its_nodes_and_layers():
    graph = Graph(nodes=(X, node("a"), node("b", inputs=("a",))), output="b")
    assert graph["a"].inputs == ("x",)
    assert graph.input_shape == (1, 4, 4)
    assert graph.layers == ("a", "b")
    assert "a" in graph
    assert "c" not in graph
    with pytest.raises(NetworkError, match="no node 'c'; the nodes are x, a, b"):
        graph["c"]


def test_a_window_is_given_for_every_axis():
    with pytest.raises(AssertionError, match="one entry per axis"):
        node("c", "conv", kernel=(3,), stride=(1,), dilation=(1,), padding=((1, 1),))
    with pytest.raises(AssertionError, match="one entry per axis"):
        node("c", "avgpool", windows=(((0, 1),),))


def test_multiply_adds_by_hand():
    """A 3x3 kernel over 2 channels into 5 filters at 4x4 positions: 5 x 2 x 9 x 16; 7 units of 80 values: 560."""
    conv = node("c", "conv", shape=(5, 4, 4), weight_shape=(5, 2, 3, 3), weights=90, biases=5)
    fc = node("f", "fc", shape=(7,), weight_shape=(7, 80), weights=560)
    everywhere = node("e", "fc", shape=(7, 4, 4), weight_shape=(7, 5), weights=35)
    assert (conv.macs, fc.macs, everywhere.macs) == (1440, 560, 35 * 16)
    assert conv.parameters == 95
    assert conv.size == 80
    assert node("n", "norm", weight_shape=(5,), weights=5).macs == 0
