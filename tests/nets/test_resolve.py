"""Shapes and parameters: the figures of the reports to the digit, and torch's own on random networks."""

import subprocess
import sys

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings

from striate.core.errors import NetworkError
from striate.nets import NETWORKS, NetworkConfig, all_layers, network_graph, resolve
from striate.nets.pytorch.build import build
from striate.nets.resolved import ResolvedLayer
from striate.nets.summary.summarize import count_parameters
from tests.nets.random_networks import networks
from tests.nets.reference import Walk

# torch says of its own "same" for an even kernel that it copies.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding=.same.")

D1 = NetworkConfig(layers="conv64 pool conv128 pool conv256 conv256 pool fc1024 fc1024")


def rows(network, input_shape, classes):
    """Every layer, those inside a block before it."""
    return tuple(all_layers(resolve.resolve(network, input_shape, classes)))


def counted(name, **changes):
    named = NETWORKS[name]
    network = NetworkConfig.model_validate({"layers": name, **changes})
    return count_parameters(network, named.input_shape, named.classes)


def test_the_networks_of_the_reports_have_the_parameters_that_the_reports_count():
    assert counted("report-a") == 1_860
    assert counted("report-a-3d") == 957_706
    assert counted("report-d") == 6_216_074
    assert counted("report-e") == 16_154_950
    assert counted("report-b-fc") == 61_618  # "about 60,000"
    assert counted("report-b-gap") == 618  # "about 600"


def test_the_public_networks_have_the_parameters_that_are_published():
    assert counted("lenet5") == 61_706
    assert counted("vgg11") == 9_231_114
    assert counted("vgg16") == 14_728_266
    assert counted("resnet20") == 272_474
    assert counted("all-conv") == 1_369_738


def test_network_d1_by_layer_kind():
    table = rows(D1, (3, 32, 32), 10)
    by_kind = {kind: sum(row.parameters for row in table if row.layer.kind == kind) for kind in ("conv", "fc")}
    assert by_kind == {"conv": 960_896, "fc": 5_255_178}
    assert [round(100 * count / 6_216_074, 2) for count in by_kind.values()] == [15.46, 84.54]
    assert sum(row.parameters for row in table) == 6_216_074


def test_neurons_of_d1():
    table = rows(D1, (3, 32, 32), 10)
    neurons = {kind: sum(_volume(row) for row in table if row.layer.kind == kind) for kind in ("conv", "fc")}
    assert neurons == {"conv": 131_072, "fc": 2_058}


def test_color_costs_the_first_layer_what_arithmetic_says():
    """E3: 256 x (3 x 9 + 1) and 256 x (9 + 1); the report prints 1,768 for the first."""
    first = {channels: rows(NetworkConfig(layers="conv256"), (channels, 32, 32), 10)[0] for channels in (3, 1)}
    assert [row.parameters for row in first.values()] == [7_168, 2_560]
    assert first[3].output_shape == first[1].output_shape


def test_the_rows_of_e1_are_those_of_its_table():
    table = rows(NetworkConfig(layers="report-e"), (3, 256, 256), 6)
    assert [(row.name, row.output_shape, row.parameters) for row in table] == [
        ("conv1", (256, 256, 256), 7_168),
        ("pool1", (256, 128, 128), 0),
        ("drop1", (256, 128, 128), 0),
        ("conv2", (128, 128, 128), 295_040),
        ("pool2", (128, 64, 64), 0),
        ("drop2", (128, 64, 64), 0),
        ("conv3", (64, 62, 62), 73_792),
        ("pool3", (64, 31, 31), 0),
        ("flatten1", (61_504,), 0),
        ("fc1", (256,), 15_745_280),
        ("fc2", (128,), 32_896),
        ("fc3", (6,), 774),
    ]


def test_names_inside_a_block():
    network = NetworkConfig(layers="conv8 res(conv16s2 conv16) res(conv16)")
    names = [row.name for row in rows(network, (3, 8, 8), 10)]
    assert names == [
        "conv1", "res1.conv1", "res1.conv2", "res1.shortcut.conv1", "res1", "res2.conv1", "res2", "flatten1", "fc1"
    ]  # fmt: skip


def agree(network, image_shape=(4, 8, 8), classes=4):
    """Rows, graph and torch say the same of `network`."""
    walked = Walk(network, image_shape, classes)
    table = rows(network, image_shape, classes)
    assert [row.output_shape for row in table] == walked.shapes
    assert sum(row.parameters for row in table) == walked.parameters
    nodes = network_graph(network, image_shape, classes)
    assert sum(node.parameters for node in nodes.nodes) == walked.parameters
    by_name = {row.name: row.output_shape for row in table}
    for node in nodes.nodes[1:]:
        assert node.output_shape == by_name[node.layer]
    module = build(network, image_shape, classes, seed=0).eval()
    assert sum(parameter.numel() for parameter in module.parameters()) == walked.parameters
    with torch.no_grad():
        assert module(torch.zeros(2, *image_shape)).shape == (2, classes)


def fits(network):
    try:
        rows(network, (4, 8, 8), 4)
    except NetworkError:
        return False
    return True


@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(networks())
def test_random_networks_agree_with_torch(network):
    assume(fits(network))
    agree(network)


@pytest.mark.slow
@settings(max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks())
def test_many_random_networks_agree_with_torch(network):
    assume(fits(network))
    agree(network)


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(networks())
def test_what_does_not_fit_does_not_fit_torch_either(network):
    """A refusal is not a mistake of ours: torch cannot run it, or runs it without an error (instance norm of one pixel)."""
    try:
        rows(network, (4, 8, 8), 4)
    except NetworkError as error:
        if "instance norm" in str(error):
            return
        with pytest.raises(
            (RuntimeError, ValueError), match=r"must be divisible by|(?i:kernel size)|Output size is too small"
        ):
            Walk(network, (4, 8, 8), 4)


def test_a_planted_off_by_one_in_a_size_is_found(monkeypatch):
    real = resolve.output_shape

    def wrong(layer, shape):
        right = real(layer, shape)
        return (*right[:-1], right[-1] + 1) if len(right) > 1 else right

    monkeypatch.setattr(resolve, "output_shape", wrong)
    with pytest.raises(AssertionError, match=r"\(8, 8, 9\)"):
        agree(NetworkConfig(layers="conv8 pool"))


def test_a_planted_off_by_one_in_a_count_is_found(monkeypatch):
    monkeypatch.setattr(ResolvedLayer, "biases", property(lambda layer: layer.output_shape[0] - 1))
    with pytest.raises(AssertionError, match="944 == 812"):
        agree(NetworkConfig(layers="conv8 pool"))


@pytest.mark.parametrize(
    ("layers", "says"),
    [
        ("conv8 6xpool", r"layer pool6: a 2-wide kernel does not fit the 8x1x1 map .* a kernel of 1 would, or 1 more pixel"),
        ("conv8k40p0", r"layer conv1: a 40-wide kernel does not fit the 3x32x32 map .* a kernel of 32 would, or 8 more pixels"),
        ("conv8k5d9p0", r"layer conv1: a 5-wide kernel \(dilated to 37\) .* a kernel of 4 would, or 5 more pixels"),
        ("conv8k40p1", r"layer conv1: .*3x32x32 map \(padded to 34\) .* a kernel of 34 would"),
        ("5xpool res(conv8 conv8p0)", r"layer res1.conv2: a 3-wide kernel does not fit the 8x1x1 map"),
        ("fc8 conv8", r"layer conv1: needs a map .* flat \(8 values\)"),
        ("conv8g2", r"layer conv1: 2 groups do not divide its 3 input channels; 1 would"),
        ("conv8 conv9g2", r"layer conv2: 2 groups do not divide its 9 filters; 1 would"),
        ("conv12:group8", r"layer conv1: group norm: 8 groups do not divide 12 channels; 6 would"),
        ("5xpool conv8k1:instance", r"layer conv1: instance norm makes every value of a 1-pixel map 0"),
        ("conv8 pool3s1p2", r"layer pool1: a pool is padded by at most half its kernel \(1\), got 2"),
        ("conv8k(3,2,3)p0", r"layer conv1: has sizes for 3 axes, and the 3x32x32 map has 2"),
        ("res(conv8p0)", r"layer res1: no 1x1 convolution brings its input 3x32x32 to the 8x30x30 .* write the shortcut out"),
        ("res(conv8s2 | conv8)", r"layer res1: its body gives 8x16x16 and its shortcut 8x32x32"),
        ("res(conv8 gap)", r"layer res1: no 1x1 convolution brings its input 3x32x32 to the 8 of its body"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_with_what_would(layers, says):
    with pytest.raises(NetworkError, match=says):
        rows(NetworkConfig(layers=layers), (3, 32, 32), 10)


def test_without_a_classifier_the_last_layer_gives_the_logits():
    with pytest.raises(NetworkError, match="the last layer must give 10 values, one per class; conv1 gives 8x32x32"):
        rows(NetworkConfig(layers="conv8", head="none"), (3, 32, 32), 10)


@pytest.mark.parametrize(
    "module", ["striate.nets", "striate.nets.graph.from_layers", "striate.nets.zoo", "striate.nets.init"]
)
def test_needs_no_torch(module):
    code = f"import {module}, sys; print({{'torch', 'torchvision', 'safetensors'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def _volume(row):
    volume = 1
    for side in row.output_shape:
        volume *= side
    return volume
