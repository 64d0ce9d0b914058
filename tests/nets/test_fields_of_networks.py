"""Receptive fields from the notation alone, against what the numbers of the built module say.

The graph is made without torch; the module is built, put into float64, and its inner units are watched through
hooks. Where every activation is smooth the gradient must reach the edges of the box too.
"""

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from striate.core.errors import NetworkError
from striate.nets import NETWORKS, NetworkConfig, network_graph
from striate.nets.graph.receptive_field import ReceptiveFields
from striate.nets.pytorch.build import build
from tests.nets.random_networks import networks
from tests.nets.test_fields_of_modules import check_unit

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same'")


class Inside(torch.nn.Module):
    """The module up to one of its parts; an image is (channels, height, width), also where the layers read a volume."""

    def __init__(self, module, part, dims):
        super().__init__()
        self.module, self.part, self.dims = module, part, dims

    def forward(self, x):
        # The graph of a 3D network begins with the volume; the module takes the image.
        outputs = []
        hook = self.module.get_submodule(self.part).register_forward_hook(lambda _, __, out: outputs.append(out))
        try:
            self.module(x if self.dims == 2 else x.squeeze(1).movedim(-1, 1))
        finally:
            hook.remove()
        return outputs[0]


class Within(ReceptiveFields):
    """Fields of one node, as if it were the output."""

    def __init__(self, graph, node):
        self.node = node
        super().__init__(type(graph)(nodes=graph.nodes, output=node))


def check_network(network, shape, classes, draw, hides=False):
    graph = network_graph(network, shape, classes)
    module = build(network, shape, classes, seed=0).double().eval()
    parts = dict(module.named_modules())
    # An activation runs after the pool that follows it, where the two may change places.
    nodes = [n.name for n in graph.nodes if n.name in parts and n.op not in ("input", "activation", "norm")]
    node = draw(st.sampled_from(nodes))
    fields = Within(graph, node)
    unit = tuple(draw(st.integers(0, side - 1)) for side in graph[node].output_shape)
    if hides:
        fields.status = lambda name: "upper bound"  # type: ignore[method-assign]
    check_unit(Inside(module, node, network.dims), fields, unit)


def prove(examples):
    @settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(networks(), st.data())
    def run(network, data):
        try:
            check_network(network, (4, 8, 8), 4, data.draw, hides=True)
        except NetworkError:
            assume(False)

    return run


def test_random_networks():
    prove(40)()


@pytest.mark.slow
def test_many_random_networks():
    prove(200)()


@pytest.mark.parametrize("name", ["report-a", "report-a-3d", "lenet5", "resnet20"])
def test_named_networks_reach_their_edges(name):
    named = NETWORKS[name]
    smooth = {**named.config, "activation": "softplus"}

    @settings(max_examples=4, deadline=None, derandomize=True, database=None)
    @given(st.data())
    def run(data):
        check_network(NetworkConfig(**smooth), named.input_shape, named.classes, data.draw)

    run()
