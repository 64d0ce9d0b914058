"""Tracing: torchvision's networks and modules written by hand, what they cost, and that they come back as they were."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from striate.core.errors import NetworkError
from striate.nets.graph.receptive_field import ReceptiveFields
from striate.nets.pytorch.trace.tracer import trace
from striate.nets.summary.table import layer_table

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same'")


def torch_says(module, shape):
    """(multiply-adds, parameters) by torch's own counters."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module.eval()(torch.rand(1, *shape))
    return counter.get_total_flops() // 2, sum(parameter.numel() for parameter in module.parameters())


def check_costs(graph, module, shape):
    """Parameters and multiply-adds are torch's."""
    totals = layer_table(graph).totals
    macs, parameters = torch_says(module, shape)
    assert totals.parameters == parameters, f"{totals.parameters} parameters, torch counts {parameters}"
    assert totals.macs == macs, f"{totals.macs} multiply-adds, torch counts {macs}"


# The field of the last layer that has one of its own, as published or as the usual recursion gives it.
KNOWN = {
    "alexnet": ("features.12", 195),
    "vgg11": ("features.20", 150),
    "resnet18": ("layer4.1.conv2", 435),
    "mobilenet_v3_small": ("features.1.block.0.0", 7),
    "efficientnet_b0": ("features.1.0.block.0.0", 7),
}


def torchvision_module(name):
    from torchvision import models

    return models.get_model(name, weights=None)


@pytest.mark.parametrize("name", KNOWN)
def test_torchvision_s_networks(name):
    module, shape = torchvision_module(name), (3, 224, 224)
    graph = trace(module, shape)
    check_costs(graph, module, shape)
    fields, (node, size) = ReceptiveFields(graph), KNOWN[name]
    assert (fields.of(node).size, fields.status(node)) == ((size, size), "exact")
    assert fields.status(graph.output) == "whole image"
    assert not [node.name for node in graph.nodes if node.certainty != "exact"]
    shapes = {}
    hooks = [
        part.register_forward_hook(lambda _, __, out, path=path: shapes.update({path: tuple(out.shape[1:])}))
        for path, part in module.named_modules()
        if path in graph
    ]
    with torch.no_grad():
        module(torch.rand(1, *shape))
    assert len(hooks) > 15
    assert {path: graph[path].output_shape for path in shapes} == shapes


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["vgg16", "googlenet", "densenet121", "shufflenet_v2_x0_5", "convnext_tiny", "regnet_y_400mf", "squeezenet1_1"],
)
@pytest.mark.filterwarnings("ignore:The default weight initialization of GoogleNet:FutureWarning")
def test_more_of_torchvision(name):
    module, shape = torchvision_module(name), (3, 224, 224)
    graph = trace(module, shape)
    check_costs(graph, module, shape)
    assert not [node.name for node in graph.nodes if node.op == "other" and node.whole]


def test_a_planted_off_by_one_in_a_cost_is_found():
    def small(bias=True, stride=1, idle=0):
        conv = nn.Conv2d(3, 4, 3, stride)
        side = (6 - 1) // stride + 1
        return nn.Sequential(conv, nn.Flatten(), nn.Linear(4 * side**2, 5, bias=bias), Idle(idle))

    graph, shape = trace(small(), (3, 8, 8)), (3, 8, 8)
    check_costs(graph, small(), shape)
    with pytest.raises(AssertionError, match="837 parameters, torch counts 832"):
        check_costs(graph, small(bias=False), shape)
    with pytest.raises(AssertionError, match="4608 multiply-adds, torch counts 1152"):
        check_costs(graph, small(stride=2, idle=4 * (36 - 9) * 5), shape)


class Idle(nn.Module):
    """Parameters that no operation reads."""

    def __init__(self, count):
        super().__init__()
        self.idle = nn.Parameter(torch.zeros(count))

    def forward(self, x):
        return x


class ByHand(nn.Module):
    """Functional calls, one relu used twice, in-place operations, a residual branch and torch.cat."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.wide = nn.Parameter(torch.rand(2, 4, 5, 5))
        self.relu = nn.ReLU(inplace=True)
        self.fc = nn.Linear(6 * 4 * 4, 5)

    def forward(self, x):
        x = self.relu(self.conv1(x))
        y = self.conv2(x)
        y += x
        y = self.relu(y)
        y = torch.cat([y, F.conv2d(y, self.wide, padding="same").clamp_(0, 6)], dim=1)
        return self.fc(F.max_pool2d(y, 2).flatten(1))


def test_a_module_written_by_hand():
    module = ByHand()
    graph = trace(module, (3, 8, 8))
    check_costs(graph, module, (3, 8, 8))
    assert [(node.name, node.op, node.inputs, node.layer) for node in graph.nodes] == [
        ("input", "input", (), "input"),
        ("conv1", "conv", ("input",), "conv1"),
        ("relu", "activation", ("conv1",), "conv1"),
        ("conv2", "conv", ("relu",), "conv2"),
        ("add", "add", ("conv2", "relu"), "add"),
        ("relu#2", "activation", ("add",), "add"),
        ("conv2d", "conv", ("relu#2",), "conv2d"),
        ("clamp", "activation", ("conv2d",), "conv2d"),
        ("cat", "concat", ("relu#2", "clamp"), "cat"),
        ("max_pool2d", "pool", ("cat",), "max_pool2d"),
        ("flatten", "flatten", ("max_pool2d",), "flatten"),
        ("fc", "fc", ("flatten",), "fc"),
    ]
    fields = ReceptiveFields(graph)
    assert [fields.of(name).size[0] for name in ("conv1", "conv2", "add", "conv2d", "cat")] == [3, 5, 5, 9, 9]
    assert [fields.status(name) for name in ("add", "cat", "fc")] == ["exact", "upper bound", "whole image"]


def wrapped(function, **parts):
    """A module whose forward is `function(self, x)`."""
    module = type("Wrapped", (nn.Module,), {"forward": function})()
    for name, part in parts.items():
        setattr(module, name, part)
    return module


def looks(self, x):
    x = self.conv(x)
    return self.conv(x) if x.sum() < 1e9 else x


def counts(self, x):
    return self.conv(x) * x.max().item()


def indexes(self, x):
    return self.conv(x)[:, torch.argsort(x.mean((0, 2, 3)))]


def through_numpy(self, x):
    return self.conv(x) + torch.from_numpy(self.conv(x).numpy().copy())


@pytest.mark.parametrize("function", [looks, counts, indexes, through_numpy])
def test_what_looks_at_values_depends_on_the_data(function):
    module = wrapped(function, conv=nn.Conv2d(3, 3, 3, padding=1))
    graph = trace(module, (3, 8, 8))
    fields = ReceptiveFields(graph)
    assert fields.status("conv") == "exact"
    assert fields.status(graph.output) == "depends on the data"


def spatial_attention(self, x):
    return torch.softmax(x.flatten(2) @ x.flatten(2).transpose(1, 2), -1) @ x.flatten(2)


def fourier(self, x):
    return torch.fft.fft2(x).real


def view_changed_in_place(self, x):
    x = self.conv(x)
    x[:, :, :2].mul_(x.mean())
    return self.conv(x)


def base_changed_in_place(self, x):
    x = self.conv(x)
    view = x.view(1, 3, 64)
    x += x.mean((2, 3), keepdim=True)
    return view


def assigned(self, x):
    y = self.conv(x)
    y[:, :, 0] = x[:, :, 7]
    return y


def view_of_a_buffer(self, x):
    buffer = torch.zeros(1, 2, 3, 8, 8)
    second = buffer[:, 1]
    buffer.copy_(torch.stack([x, self.conv(x)], 1))
    return second * 2


def filled(self, x):
    y = torch.zeros(1, 3, 8, 8)
    y[:, :, ::2] = self.conv(x)[:, :, ::2]
    return y


@pytest.mark.parametrize(
    "function",
    [
        spatial_attention,
        fourier,
        view_changed_in_place,
        base_changed_in_place,
        assigned,
        view_of_a_buffer,
        filled,
    ],
)
def test_what_is_not_known_is_bounded_by_the_whole_image(function):
    module = wrapped(function, conv=nn.Conv2d(3, 3, 3, padding=1))
    graph = trace(module, (3, 8, 8))
    fields = ReceptiveFields(graph)
    assert fields.status(graph.output) == "upper bound"
    assert fields.box(graph.output, (0,) * len(graph[graph.output].output_shape)) == ((0, 8), (0, 8))


def test_products_of_activations_are_counted():
    """8 x 64 with 64 x 8, then 8 x 8 with 8 x 64: twice 4,096."""
    graph = trace(wrapped(spatial_attention), (8, 8, 8))
    assert layer_table(graph).totals.macs == 2 * 8 * 8 * 64


@pytest.mark.filterwarnings("ignore:`torch.jit.trace` is deprecated:FutureWarning")
def test_code_that_python_does_not_see_is_not_taken_for_a_constant():
    twice = torch.jit.trace(lambda x: torch.roll(x, 3, 2) * 2, torch.rand(1, 3, 8, 8))
    module = wrapped(lambda self, x: self.conv(x) + twice(x), conv=nn.Conv2d(3, 3, 3, padding=1))
    fields = ReceptiveFields(trace(module, (3, 8, 8)))
    assert fields.status(fields.graph.output) == "upper bound"
    assert fields.box(fields.graph.output, (0, 4, 4)) == ((0, 8), (0, 8))


def test_shared_parameters_are_counted_once_and_multiplied_by_twice():
    module = wrapped(lambda self, x: self.conv(self.conv(x)), conv=nn.Conv2d(3, 3, 3, padding=1))
    graph = trace(module, (3, 8, 8))
    check_costs(graph, module, (3, 8, 8))
    assert [(row.name, row.formula, row.parameters) for row in layer_table(graph).rows] == [
        ("conv", "3 x 3 x 3 x 3 + 3", 84),
        ("conv#2", "shared", 0),
    ]


def test_parameters_that_a_weight_is_computed_from_are_its_own():
    module = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3)), nn.PReLU(4), Idle(7))
    graph = trace(module, (3, 8, 8))
    check_costs(graph, module, (3, 8, 8))
    assert graph["0"].parameters == 4 * 27 + 4 + 4
    assert graph["1"].parameters == 4
    assert graph.unused_parameters == 7


def state(module):
    hooks = [len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules()]
    values = {name: value.clone() for name, value in module.state_dict().items()}
    return [part.training for part in module.modules()], hooks, values


def global_hooks():
    from torch.nn.modules import module

    return len(module._global_forward_hooks), len(module._global_forward_pre_hooks)


def replaces(self, x):
    self.norm.running_mean = self.norm.running_mean + 1
    return self.norm(x)


def fails(self, x):
    self.norm.train()
    raise RuntimeError("on purpose") if self.norm(x).ndim else None


@pytest.mark.parametrize("function", [lambda self, x: self.norm(x), replaces, fails])
def test_a_module_comes_back_as_it_was(function):
    module = wrapped(function, norm=nn.BatchNorm2d(3), frozen=nn.BatchNorm2d(3))
    module.frozen.eval()
    before, hooks, generator = state(module), global_hooks(), torch.get_rng_state()
    if function is fails:
        with pytest.raises(NetworkError, match="Wrapped cannot run on an image of 3x8x8: on purpose"):
            trace(module, (3, 8, 8))
    else:
        trace(module, (3, 8, 8))
    after = state(module)
    assert after[:2] == before[:2]
    assert all(torch.equal(after[2][name], value) for name, value in before[2].items())
    assert global_hooks() == hooks
    assert torch.equal(torch.get_rng_state(), generator)


def test_a_mistake_of_ours_is_not_called_the_module_s(monkeypatch):
    monkeypatch.setattr("striate.nets.pytorch.trace.tracer.read", lambda call: 1 / 0)
    with pytest.raises(ZeroDivisionError, match="division by zero"):
        trace(nn.ReLU(), (3, 8, 8))


def test_the_image_given_is_not_changed():
    image = torch.rand(1, 3, 8, 8) - 0.5
    before = image.clone()
    trace(nn.ReLU(inplace=True), image)
    assert torch.equal(image, before)


@pytest.mark.parametrize(
    ("module", "image", "message"),
    [
        (nn.Linear(5, 5), (3, 8, 8), r"Linear cannot run on an image of 3x8x8: .*mat1 and mat2"),
        (wrapped(lambda self, x: (x, x)), (3, 8, 8), "must return one tensor, got tuple"),
        (wrapped(lambda self, x: torch.zeros(3)), (3, 8, 8), "is not computed from the image"),
        (nn.ReLU(), torch.rand(2, 3, 8, 8), r"the image must be \(1, channels, \*spatial\), got \(2, 3, 8, 8\)"),
    ],
)
def test_what_cannot_be_traced_is_refused(module, image, message):
    with pytest.raises(NetworkError, match=message):
        trace(module, image)


def test_a_module_that_does_nothing_is_its_input():
    assert trace(nn.Identity(), (3, 8, 8)).output == "input"
