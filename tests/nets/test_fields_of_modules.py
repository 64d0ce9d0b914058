"""Receptive fields of random networks against what their numbers say, in float64.

For random units of a random network: changing every pixel outside the box leaves the unit unchanged, changing those
inside does not, and the gradient's support lies inside the box and, where the status is exact, reaches its edges.
The graph comes from running the module; the reference is torch's own forward and backward pass. Every candidate of a
max pool counts, also one that never wins (beside the bias that a padded convolution leaves at the border, say): what
is inside is therefore checked with averages over the same windows.
"""

import copy
from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import nn

from striate.nets.graph.graph import Graph
from striate.nets.graph.receptive_field import ReceptiveFields
from striate.nets.pytorch.trace.tracer import trace
from tests.nets.random_modules import Steps, modules

# Torch says that an even kernel with padding='same' may cost it a copy.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same'")
IMAGES = 6  # for each edge of a box


def averaged(module):
    """`module` with the mean of each window in place of its maximum."""
    module = copy.deepcopy(module)
    for parent in list(module.modules()):
        for name, part in list(parent.named_children()):
            axes = type(part).__name__[-2:]
            if isinstance(part, nn.MaxPool2d | nn.MaxPool3d):
                windows = (part.kernel_size, part.stride, part.padding, part.ceil_mode)
                setattr(parent, name, getattr(nn, f"AvgPool{axes}")(*windows, count_include_pad=False))
            elif isinstance(part, nn.AdaptiveMaxPool2d | nn.AdaptiveMaxPool3d):
                setattr(parent, name, getattr(nn, f"AdaptiveAvgPool{axes}")(part.output_size))
    return module


def check_unit(module, fields, unit, inside_of=None):
    """Everything that the field of one unit of the output promises; what is inside the box is checked with `inside_of`."""
    inside_of = inside_of or module
    name, shape = fields.graph.output, fields.graph.input_shape
    box, status = fields.box(name, unit), fields.status(name)
    images = _images(shape, box).requires_grad_()
    place = (slice(None), *unit)
    before = module(images)[place]
    support = torch.autograd.grad(before.sum(), images)[0].ne(0).any(0).any(0)
    inside = torch.zeros(shape[1:], dtype=torch.bool)
    inside[tuple(slice(*side) for side in box)] = True
    assert not (support & ~inside).any(), f"{status}: the gradient leaves the box {box} of {unit}: {_hull(support)}"
    other = torch.randn(images.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).mul(4)
    with torch.no_grad():
        outside = module(torch.where(inside, images, other))[place]
        within = inside_of(torch.where(inside, other, images))[place] - inside_of(images)[place]
    assert (outside - before).abs().max() <= 1e-12, f"{status}: a pixel outside the box {box} changes {unit}"
    if status in ("exact", "whole image") and inside.any():
        support = torch.autograd.grad(inside_of(images)[place].sum(), images)[0].ne(0).any(0).any(0)
        assert within.abs().max() > 1e-12, f"{status}: no pixel inside the box {box} changes {unit}"
        assert _hull(support) == box, f"{status}: of the box {box} of {unit} only {_hull(support)} is used"


def _images(shape, box):
    """Random images of both signs (beside the zeros of padding a maximum of one sign may never win).

    A few for each edge of the box, which is made to stand out: else it might win no maximum.
    """
    edges = [(axis, pixel) for axis, (start, stop) in enumerate(box) for pixel in (start, stop - 1)]
    random = torch.Generator().manual_seed(0)
    images = torch.randn((IMAGES * len(edges), *shape), generator=random, dtype=torch.float64).mul(2)
    for index, image in enumerate(images):
        axis, pixel = edges[index % len(edges)]
        image.select(1 + axis, pixel).mul_(6)
    return images


def _hull(support):
    pixels = support.nonzero()
    low, high = pixels.min(0).values, pixels.max(0).values + 1
    return tuple(zip(low.tolist(), high.tolist(), strict=True)) if len(pixels) else ((0, 0),) * support.ndim


def proof(examples):
    quick = settings(
        max_examples=examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
    )

    @quick
    @given(st.data())
    def prove(data):
        module, shape = data.draw(modules())
        assume(len(module.steps))
        fields = ReceptiveFields(trace(module, shape))
        module.eval()
        for _ in range(2):
            unit = tuple(data.draw(st.integers(0, side - 1)) for side in fields.graph[fields.graph.output].output_shape)
            check_unit(module, fields, unit, averaged(module))

    return prove


def test_fields_of_random_networks():
    proof(40)()


@pytest.mark.slow
def test_fields_of_many_random_networks():
    proof(200)()


def hand_net():
    """Two convolutions, a max pool between them, in float64."""
    torch.manual_seed(0)
    steps = [nn.Conv2d(2, 3, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(3, 3, 3, padding=1, dilation=1)]
    return Steps([(step, "chain") for step in steps]).double().eval()


def planted(graph, **change):
    """`graph` with its last node changed."""
    return Graph(nodes=(*graph.nodes[:-1], replace(graph.nodes[-1], **change)), output=graph.output)


def test_the_check_passes_the_true_graph():
    module = hand_net()
    check_unit(module, ReceptiveFields(trace(module, (2, 16, 16))), (1, 3, 3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel": (2, 3)}, "the gradient leaves the box"),
        ({"kernel": (3, 4)}, "is used"),
        ({"padding": ((1, 1), (2, 0))}, "the gradient leaves the box"),
        ({"dilation": (2, 1)}, "the gradient leaves the box|is used"),
        ({"whole": True}, "is used"),
    ],
)
def test_a_planted_fault_in_the_graph_is_found(change, message):
    module = hand_net()
    with pytest.raises(AssertionError, match=message):
        check_unit(module, ReceptiveFields(planted(trace(module, (2, 16, 16)), **change)), (1, 3, 3))


class Leaks(nn.Module):
    """Rounds what it adds, so that no gradient tells of it."""

    def __init__(self):
        super().__init__()
        self.inner = hand_net()

    def forward(self, x):
        return self.inner(x) + torch.round(x.sum(dtype=x.dtype) * 100)


def test_a_dependence_without_a_gradient_is_found():
    inner = hand_net()
    with pytest.raises(AssertionError, match="a pixel outside the box"):
        check_unit(Leaks(), ReceptiveFields(trace(inner, (2, 16, 16))), (1, 3, 3))
