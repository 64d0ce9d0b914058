"""Attribution: six worked examples, every way to write a rectifier, Captum where it is right, and what every method promises."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from striate.core.errors import NetworkError
from striate.explain.attribution import METHODS, Options, Target, attribute, upsampled
from striate.explain.traced import TracedNetwork
from striate.nets import NetworkConfig
from striate.nets.pytorch.build import build
from tests.explain.small_networks import FORMS, IMAGE, Small, TwoModules
from tests.needs import needs_package

CLASS_0 = Target(unit=(0,))
WORKED = {
    "gradient": [[0, 1, 1, 1], [0, 1, 1, 1], [0, 1, 1, 1], [0, 0, 0, 0]],
    "guided": [[0, 1, 1, 1], [1, 3, 3, 2], [1, 3, 3, 2], [1, 2, 2, 1]],
    "deconvnet": [[2, 3, 3, 1], [3, 5, 5, 2], [3, 5, 5, 2], [1, 2, 2, 1]],
    "gradcam at conv1": [[11.25, 13.5], [20.25, 22.5]],
    "gradcam": [[0, 4], [28, 32.5]],
    "guided-gradcam": [[0, 0, 4, 4], [0, 0, 12, 8], [28, 84, 97.5, 65], [28, 56, 65, 32.5]],
}


def explain(module, method, image=IMAGE, target=CLASS_0, **options):
    return attribute(TracedNetwork(module, tuple(image.shape)), image, target, method, Options(**options))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("example", WORKED)
def test_the_worked_examples_however_the_rectifier_is_written(form, example):
    method, _, layer = example.partition(" at ")
    found = explain(FORMS[form](), method, layer=layer, signed=bool(layer))
    assert found.value == 54
    np.testing.assert_array_equal(found.array, [WORKED[example]])


def test_a_planted_fault_is_found():
    """Without the last rectifier nothing changes, without the first the guided pass does."""
    module = Small(lambda x, name: F.relu(x) if name == "relu2" else x)
    assert not np.array_equal(explain(module, "guided").array, [WORKED["guided"]])


def test_an_upper_bound_blocks_the_guided_gradient():
    """relu6 is off above 6 too; only the unit of value 4 is between, and 6 of channel 1 is not below its bound."""
    found = explain(Small(nn.ReLU6()), "guided", target=Target(layer="relu"))
    np.testing.assert_array_equal(found.array, [[[0, 1, 1, 1], [0, 1, 1, 1], [0, 1, 1, 1], [0, 0, 0, 0]]])


def test_a_unit_and_a_layer_inside_the_network():
    module = TwoModules()
    unit = explain(module, "gradient", target=Target(layer="conv1", unit=(1, 0, 1)))
    np.testing.assert_array_equal(unit.array, [[[0, 1, 1, 1], [0, 1, 1, 1], [0, 1, 1, 1], [0, 0, 0, 0]]])
    assert unit.value == -21
    channel = explain(module, "gradient", target=Target(layer="conv1", unit=(0,)))
    np.testing.assert_array_equal(channel.array, [[[1, 2, 2, 1], [2, 4, 4, 2], [2, 4, 4, 2], [1, 2, 2, 1]]])
    layer = explain(module, "gradient", target=Target(layer="conv1"))
    np.testing.assert_array_equal(layer.array, 2 * channel.array)


def test_a_pool_before_its_activation_is_undone():
    """Striate's networks run a max pool before the relu; who asks for the relu gets it before the pool, at full size."""
    module = build(NetworkConfig(layers="conv4 pool conv8"), (3, 8, 8), 5, seed=0)
    image = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(0))
    network = TracedNetwork(module, (3, 8, 8))
    assert network.graph["conv1_activation"].output_shape == (4, 8, 8)
    values = network.values(image[None], ["conv1_activation", "pool1", network.graph.output])
    assert torch.equal(F.max_pool2d(values["conv1_activation"], 2), values["pool1"])
    torch.testing.assert_close(values[network.graph.output], module.eval()(image[None]))


class Captum:
    """The same numbers by Captum, which is right where each rectifier is a module of its own, used once and not in place."""

    def __init__(self, module):
        from captum import attr

        self.attr, self.module = attr, module

    def __call__(self, method, images, target, **options):
        attr, module = self.attr, self.module
        images = images.clone().requires_grad_()
        match method:
            case "gradient":
                return attr.Saliency(module).attribute(images, target, abs=False)
            case "guided":
                return attr.GuidedBackprop(module).attribute(images, target)
            case "deconvnet":
                return attr.Deconvolution(module).attribute(images, target)
            case "gradcam":
                return attr.LayerGradCam(module, module.relu2).attribute(images, target, relu_attributions=True)
            case "guided-gradcam":
                return attr.GuidedGradCam(module, module.relu2).attribute(images, target, interpolate_mode="nearest")
            case "integrated":
                return attr.IntegratedGradients(module).attribute(images, 0.0, target, n_steps=options["steps"])
            case "occlusion":
                window, stride = options["window"], options["stride"]
                shape = (images.shape[1], window, window)
                return attr.Occlusion(module).attribute(images, shape, (images.shape[1], stride, stride), target=target)


class Ordinary(nn.Module):
    """Two convolutions, a pool and two fc layers, as Captum wants them."""

    def __init__(self):
        super().__init__()
        self.conv1, self.relu1, self.pool = nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
        self.conv2, self.norm2, self.relu2 = nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU()
        self.fc1, self.relu3, self.fc2 = nn.Linear(256, 32), nn.ReLU(), nn.Linear(32, 10)

    def forward(self, x):
        x = self.pool(self.relu1(self.conv1(x)))
        x = self.relu2(self.norm2(self.conv2(x)))
        return self.fc2(self.relu3(self.fc1(x.flatten(1))))


@pytest.fixture(scope="module")
def ordinary():
    torch.manual_seed(1)
    module = Ordinary().double()
    module.norm2.running_mean.normal_()
    module.norm2.running_var.uniform_(0.5, 2)
    return module.eval()


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU activations")
@pytest.mark.parametrize("method", METHODS)
def test_captum_gives_the_same(method, ordinary):
    needs_package("captum")
    image = torch.randn(3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    options = {"steps": 20, "window": 5, "stride": 3}
    expected = Captum(copy.deepcopy(ordinary))(method, image[None], 3, **options)[0].detach().numpy()
    found = explain(
        ordinary, method, image, Target(unit=(3,)), layer="relu2" if "cam" in method else "", **options
    ).array
    assert np.abs(expected).max() > 0
    tolerance = 2e-6 if method in ("integrated", "occlusion") else 1e-9  # Captum's weights of both are float32
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())


def test_integrated_gradients_are_complete(ordinary):
    image = torch.randn(3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    coarse, fine = (explain(ordinary, "integrated", image, steps=steps) for steps in (5, 2000))
    with torch.no_grad():
        difference = (ordinary(image[None]) - ordinary(torch.zeros(1, 3, 16, 16, dtype=torch.float64)))[0, 0].item()
    assert abs(fine.array.sum() - difference) < 1e-3 * abs(difference)
    assert abs(fine.gap) < abs(coarse.gap)
    assert coarse.gap == pytest.approx(coarse.array.sum() - difference)


def test_occlusion_of_one_pixel_by_hand():
    """Pixel (2, 2) is 10: without it all four windows lose 10, so the output falls to 0 + 21 + 30 - 0 - 5 = 46."""
    found = explain(TwoModules(), "occlusion", window=1, stride=1)
    assert found.array[0, 2, 2] == 54 - 46
    assert found.array[0, 0, 0] == 0  # it is 0 already


class Broken(nn.Module):
    """Raises after the first layer has run."""

    def __init__(self):
        super().__init__()
        self.inner, self.last, self.is_broken = TwoModules(), nn.Linear(4, 4), False

    def forward(self, x):
        x = self.inner(x)
        if self.is_broken:
            raise RuntimeError("out of paper")
        return self.last(x)


def state(module):
    """Everything that a pass over a module could leave behind."""
    return {
        name: (
            part.training,
            {key: len(hooks) for key, hooks in vars(part).items() if key.endswith("_hooks")},
            [(key, p.requires_grad, p.grad, p.clone()) for key, p in part.named_parameters(recurse=False)],
            [(key, buffer.clone()) for key, buffer in part.named_buffers(recurse=False)],
        )
        for name, part in module.named_modules()
    }


@pytest.mark.parametrize("is_training", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_left_behind_even_after_a_failure(method, is_training):
    module = Broken().train(is_training)
    module.inner.fc1.weight.requires_grad_(False)
    network, before = TracedNetwork(module, (1, 4, 4)), state(module)
    attribute(network, IMAGE, CLASS_0, method)
    assert str(state(module)) == str(before)
    module.is_broken = True
    with pytest.raises(NetworkError, match=r"Broken cannot run on images of 1x4x4: out of paper"):
        attribute(network, IMAGE, Target(unit=(0,)), method)
    assert str(state(module)) == str(before)


@pytest.mark.parametrize("method", METHODS)
def test_a_frozen_network_of_one_channel_and_a_whole_batch_norm(method):
    module = build(
        NetworkConfig(layers="conv4 pool res(conv4 conv4) fc8", norm="batch", freeze="all-but-head"),
        (1, 8, 8),
        3,
        seed=3,
    )
    image = torch.randn(1, 8, 8, generator=torch.Generator().manual_seed(4))
    found = explain(module, method, image, Target(unit=(2,)), steps=4, window=3, stride=2)
    assert found.array.shape[0] == 1
    assert np.abs(found.array).max() > 0


@pytest.mark.parametrize("method", ["gradient", "guided", "deconvnet", "integrated", "occlusion"])
def test_a_volume_of_an_image(method):
    """A network of 3D convolutions takes images too; only its maps have no place in the image."""
    module = build(NetworkConfig(layers="conv4 conv4 fc8", dims=3), (3, 6, 6), 3, seed=0)
    image = torch.randn(3, 6, 6, generator=torch.Generator().manual_seed(5))
    assert explain(module, method, image, steps=3, window=2).array.shape == (3, 6, 6)
    with pytest.raises(NetworkError, match="no layer with a map over the image"):
        explain(module, "gradcam", image)


def planted(function):
    return lambda: Small(lambda x, name: F.relu(x) if name == "relu2" else function(x))


class Own(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, gradient):
        return gradient


REFUSED = {
    "leaky": (planted(lambda x: F.leaky_relu(x)), r"the operation LeakyReluBackward0 at leaky_relu is not a rectifier"),
    "gelu": (planted(F.gelu), r"GeluBackward0 at gelu"),
    "clamp at 1": (planted(lambda x: x.clamp(min=1)), r"ClampBackward1 at clamp"),
    "mask": (planted(lambda x: x * (x > 0)), r"gt\(\) at gt compares values"),
    "where": (planted(lambda x: torch.where(x.ge(0), x, 0)), r"ge\(\) at ge compares"),
    "abs": (planted(lambda x: (x + x.abs()) / 2), r"AbsBackward0 at abs"),
    "own derivative": (planted(Own.apply), r"OwnBackward at before flatten is a function with a derivative of its own"),
    "none at all": (lambda: Small(lambda x, _: x), r"the network has no rectifier there"),
}


@pytest.mark.parametrize("method", ["guided", "deconvnet", "guided-gradcam"])
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_covered_is_refused_with_its_place(case, method):
    make, message = REFUSED[case]
    with pytest.raises(NetworkError, match=f"(guided|deconvnet): .*{message}.*; write it as torch.relu, or use"):
        explain(make(), method)
    assert explain(make(), "gradient").value > 0


def test_a_compiled_network_is_refused_with_the_cure():
    module = TwoModules()
    with pytest.raises(
        NetworkError, match=r"^OptimizedModule is compiled, and .*; give the module that was compiled \(its _orig_mod\)"
    ):
        TracedNetwork(torch.compile(module, backend="eager"), (1, 4, 4))
    module.relu1.compile(backend="eager")
    with pytest.raises(NetworkError, match=r"^'relu1' is compiled, and .*; leave its compile\(\) out"):
        TracedNetwork(module, (1, 4, 4))


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
@pytest.mark.parametrize("warm", [False, True])
def test_a_compiled_function_inside_is_refused(warm):
    torch._dynamo.reset()
    compiled = torch.compile(lambda x: torch.relu(x) * 2, backend="eager")
    module = Small(lambda x, _: compiled(x))
    if warm:
        module(IMAGE[None])
    with pytest.raises(
        NetworkError, match=r"a function of it is compiled, and .*; leave torch.compile out of its code"
    ):
        explain(module, "guided")


def test_a_target_that_does_not_exist():
    with pytest.raises(NetworkError, match=r"^layer 'conv2': the network has no such layer; did you mean 'conv1'"):
        explain(TwoModules(), "gradient", target=Target(layer="conv2"))
    with pytest.raises(NetworkError, match=r"^unit 2 0 0: layer 'conv1' gives 2x2x2 values; give a channel"):
        explain(TwoModules(), "gradient", target=Target(layer="conv1", unit=(2, 0, 0)))
    with pytest.raises(NetworkError, match=r"^method 'saliency': must be one of gradient, guided"):
        explain(TwoModules(), "saliency")
    with pytest.raises(NetworkError, match=r"^images: must be \(N, 1, 4, 4\) for this network, got \(1, 3, 4, 4\)"):
        attribute(TracedNetwork(TwoModules(), (1, 4, 4)), torch.zeros(3, 4, 4), CLASS_0, "gradient")
    with pytest.raises(NetworkError, match="conv1 unit 0 0 0 has no gradient with respect to layer 'relu1'; give"):
        explain(TwoModules(), "gradcam", target=Target(layer="conv1", unit=(0, 0, 0)), layer="relu1")


def test_pixels_are_repeated():
    np.testing.assert_array_equal(upsampled(np.array([[[1, 2]]]), (2, 5)), [[[1, 1, 1, 2, 2]] * 2])
