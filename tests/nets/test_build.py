"""The torch modules: every named network runs, learns and survives a file; each kind of layer does what it says."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from striate.core.errors import NetworkError
from striate.nets import NETWORKS, NetworkConfig, all_layers, init, network_graph
from striate.nets.pytorch import modules, weights
from striate.nets.pytorch.build import ACTIVATIONS, build
from striate.nets.pytorch.freeze import learning
from striate.nets.pytorch.modules import run, written_order
from striate.nets.resolve import resolve

OURS = [name for name in NETWORKS if "torchvision" not in NETWORKS[name].config]
# At its own size one image makes 200 MB of activations.
SMALL = {"report-e": (3, 32, 32)}


def made(layers, shape=(3, 8, 8), classes=10, seed=0, **fields):
    return build(NetworkConfig(layers=layers, **fields), shape, classes, seed)


def logits(module, images):
    with torch.no_grad():
        return module.eval()(images)


def images(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(2, *shape)).astype(np.float32))


@pytest.mark.parametrize("name", OURS)
def test_a_named_network_learns_and_survives_a_file(name, tmp_path):
    named = NETWORKS[name]
    shape = SMALL.get(name, named.input_shape)
    network = NetworkConfig.model_validate(name)
    module, x = build(network, shape, named.classes, seed=0), images(*shape)
    functional.cross_entropy(module(x), torch.tensor([0, 1])).backward()
    learning = [p for p in module.parameters() if p.requires_grad]
    assert learning
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in learning)
    weights.save(module, tmp_path / "w.safetensors")
    other = build(network, shape, named.classes, seed=1)
    assert not torch.equal(logits(other, x), logits(module, x))
    weights.load(other, tmp_path / "w.safetensors")
    assert torch.equal(logits(other, x), logits(module, x))


def test_modules_are_called_as_the_graph_calls_its_nodes():
    network = NetworkConfig(layers="conv8 pool res(conv8s2 conv16) flatten~1 fc8 drop0.5", norm="batch")
    modules = {name for name, part in build(network, (3, 8, 8), 10, 0).named_modules() if not list(part.children())}
    nodes = {node.name for node in network_graph(network, (3, 8, 8), 10).nodes}
    assert nodes - modules == {"input", "res1.add"}
    assert modules - nodes == set()


def test_a_residual_block_by_hand():
    """relu(conv2(relu(conv1 x)) + x), and with a shape that changes the projection in place of x."""
    module, x = made("res(conv3 conv3) res(conv4s2 conv4)", norm="none"), images(3, 8, 8)
    for block in (module.res1, module.res2):
        inside = block.conv2(functional.relu(block.conv1(x)))
        around = x if block is module.res1 else block.shortcut.conv1(x)
        expected = functional.relu(inside + around)
        assert torch.equal(block(x), expected)
        x = expected
    assert module.res2.shortcut.conv1.kernel_size == (1, 1)


def test_after_a_block_comes_the_activation_that_it_names():
    module, x = made("res(conv3:tanh conv3:tanh):noact"), images(3, 8, 8)
    block = module.res1
    assert torch.equal(block(x), torch.tanh(block.conv2(torch.tanh(block.conv1(x)))) + x)


@pytest.mark.parametrize(("position", "kinds"), [("before", ["norm", "activation"]), ("after", ["activation", "norm"])])
def test_the_norm_stands_where_it_is_put(position, kinds):
    names = list(dict(made("conv8", norm="batch", norm_position=position).named_children()))
    assert names[:3] == ["conv1", *(f"conv1_{kind}" for kind in kinds)]


def test_norms_do_what_their_names_say():
    x = images(8, 4, 4)
    layer = made("conv8:layer", shape=(8, 4, 4)).conv1_norm(x)
    assert torch.allclose(layer, functional.layer_norm(x, (8, 4, 4)), atol=1e-5)
    instance = made("conv8:instance", shape=(8, 4, 4)).conv1_norm(x)
    assert torch.allclose(instance.mean((2, 3)), torch.zeros(2, 8), atol=1e-5)
    group = made("conv8:group2", shape=(8, 4, 4)).conv1_norm(x)
    assert torch.allclose(group.view(2, 2, -1).mean(2), torch.zeros(2, 2), atol=1e-5)
    assert not torch.allclose(group.mean((2, 3)), torch.zeros(2, 8), atol=1e-2)


def test_a_norm_and_an_activation_on_their_own():
    module, x = made("conv4 pool batch gelu", norm="none", activation="none"), images(3, 8, 8)
    pooled = functional.max_pool2d(module.conv1(x), 2)
    assert torch.allclose(module[:4](x), functional.gelu(module.norm1(pooled)))
    assert list(dict(module.named_children()))[:4] == ["conv1", "pool1", "norm1", "act1"]
    plain = made("conv4 relu group2 batch", activation="none", linear=True)
    assert [type(part) for part in (plain.act1, plain.norm1, plain.norm2)] == [nn.Identity, nn.Identity, nn.BatchNorm2d]


def test_pick_takes_the_first_pixel_of_each_whole_block():
    module = made("pick2 gap", shape=(1, 5, 5))
    picked = module.pick1(torch.arange(25.0).view(1, 1, 5, 5))
    assert picked.flatten().tolist() == [0, 2, 10, 12]


def test_a_permuted_flatten_is_a_reordered_one():
    """B7: the same values in another order, so an fc layer with its columns reordered gives the same."""
    plain, permuted = made("conv4 flatten fc8"), made("conv4 flatten~3 fc8")
    x, order = images(3, 8, 8), init.permutation(3, 256)
    assert not torch.equal(logits(plain, x), logits(permuted, x))
    with torch.no_grad():
        permuted.fc1.weight.copy_(plain.fc1.weight[:, order])
    assert torch.allclose(logits(plain, x), logits(permuted, x), atol=1e-5)
    assert set(plain.state_dict()) == set(permuted.state_dict())


@pytest.mark.filterwarnings("ignore:Using padding=.same.")
def test_same_with_an_even_kernel_adds_the_pixel_at_the_end():
    module, x = made("conv4k2psame conv4k(4,3)psame"), images(3, 8, 8)
    inside = functional.relu(functional.conv2d(functional.pad(x, (0, 1, 0, 1)), module.conv1.weight, module.conv1.bias))
    assert torch.allclose(functional.relu(module.conv1(module.conv1_padding(x))), inside, atol=1e-6)
    torch_says = functional.conv2d(inside, module.conv2.weight, module.conv2.bias, padding="same")
    assert torch.allclose(module.conv2(module.conv2_padding(inside)), torch_says, atol=1e-6)


def test_an_average_pool_counts_its_padding_as_zeros():
    module = made("avgpool2s2p1 gap", shape=(1, 2, 2), classes=10)
    padded = module.avgpool1(module.avgpool1_padding(torch.ones(1, 1, 2, 2)))
    assert padded.flatten().tolist() == [0.25] * 4


def test_the_image_as_a_volume_has_its_colors_as_the_third_axis():
    """A kernel (1,1,3) without padding sums over the colors: what a 1x1 convolution of the image does."""
    module, x = made("conv4k(1,1,3)p0:noact", dims=3), images(3, 8, 8)
    volume = module.conv1(x.permute(0, 2, 3, 1)[:, None]).squeeze(-1)
    flat = functional.conv2d(x, module.conv1.weight[:, 0, 0, 0, :, None, None], module.conv1.bias)
    assert torch.allclose(volume, flat, atol=1e-5)


def test_linear_leaves_a_linear_map():
    """f(a + b) - f(0) = (f(a) - f(0)) + (f(b) - f(0)), with pools, blocks and batch norm; not so otherwise."""
    layers = "conv8 pool res(conv8 conv8) conv8:layer pool3s1p1 avgpool fc16:tanh"
    a, b = images(3, 8, 8).double(), images(3, 8, 8, seed=1).double()

    def departure(module):
        both, none, first, second = (logits(module.double(), x) for x in (a + b, 0 * a, a, b))
        return float((both + none - first - second).abs().max())

    assert departure(made(layers, norm="batch", linear=True)) < 1e-12
    assert departure(made(layers, norm="batch")) > 1e-3


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_pool_before_a_rising_activation_gives_the_same(name):
    module, x = [ACTIVATIONS[name](), nn.MaxPool2d(2)], images(3, 8, 8)
    assert torch.equal(run(module, x), module[1](module[0](x)))


FLATTENED = "conv4 pool flatten fc6"


def gradients(module, x):
    module.zero_grad()
    output = module(x)
    output.square().sum().backward()
    return {"output": output.detach(), **{name: p.grad for name, p in module.named_parameters()}}


@pytest.mark.parametrize("layers", [FLATTENED, "conv4", "res(conv3) fc6", "conv4k2p0 flatten fc3"])
@pytest.mark.parametrize("bias", [True, False])
def test_weights_in_the_order_of_the_map_give_the_same(layers, bias):
    module, x = made(layers, bias=bias).double(), torch.randn(24, 3, 8, 8, dtype=torch.float64)
    with written_order():
        expected = gradients(module, x)
    found = gradients(module, x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_the_order_of_the_map_matters(monkeypatch):
    """A planted fault: the weights stay in the order of the row."""
    module, x = made(FLATTENED).double(), torch.randn(24, 3, 8, 8, dtype=torch.float64)
    expected = gradients(module, x)["output"]
    monkeypatch.setattr(modules, "_linear_of_map", lambda x, fc: fc(x.permute(0, 2, 3, 1).reshape(len(x), -1)))
    found = gradients(module, x.contiguous(memory_format=torch.channels_last))["output"]
    assert not torch.allclose(found, expected, rtol=1e-3)


@pytest.mark.parametrize(
    ("images", "watched", "is_called"),
    [(24, "", False), (11, "", True), (24, "flatten1", True), (24, "fc1", True)],
)
def test_a_flatten_is_left_out_only_for_a_small_layer_that_nobody_watches(images, watched, is_called, monkeypatch):
    module, x = made(FLATTENED), torch.randn(images, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    calls = []
    forward = modules.Flatten.forward
    monkeypatch.setattr(modules.Flatten, "forward", lambda self, x: calls.append(1) or forward(self, x))
    if watched:
        module.get_submodule(watched).register_forward_hook(lambda *_: None)
    module(x)
    assert bool(calls) is is_called


def test_freezing_all_but_the_head():
    module = made("conv4 fc8", norm="batch", freeze="all-but-head")
    assert {name for name, p in module.named_parameters() if p.requires_grad} == {"fc2.weight", "fc2.bias"}
    assert [tuple(p.shape) for p in learning(module)] == [(10, 8), (10,)]


def test_what_is_frozen_does_not_change_in_training():
    module = made("conv4 conv4 fc8", norm="batch", freeze="up-to conv1_norm")
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    optimizer = torch.optim.SGD(learning(module), lr=0.1, weight_decay=0.1)
    module.train()
    for _ in range(2):
        functional.cross_entropy(module(images(3, 8, 8)), torch.tensor([0, 1])).backward()
        optimizer.step()
    after = module.state_dict()
    changed = {name.partition(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"conv2", "conv2_norm", "fc1", "fc1_norm", "fc2"}


def test_freezing_what_is_not_there():
    with pytest.raises(NetworkError, match=r"freeze: no layer 'conv3' with parameters; did you mean 'conv[12]'"):
        made("conv4 conv4", freeze="up-to conv3")
    with pytest.raises(NetworkError, match="freeze: 'up-to fc1' leaves nothing to learn"):
        made("conv4", freeze="up-to fc1")


def test_weights_of_another_network_are_refused(tmp_path):
    weights.save(made("conv4"), tmp_path / "w.safetensors")
    for layers, says in (
        ("conv5", r"w.safetensors: 'conv1.bias' is \(4,\), and the network's is \(5,\)"),
        ("conv4 conv4", r"w.safetensors: has no 'conv2.bias', 'conv2.weight', which the network has"),
        ("gap", r"w.safetensors: holds 'conv1.bias', 'conv1.weight', which the network has not"),
    ):
        with pytest.raises(NetworkError, match=says):
            weights.load(made(layers), tmp_path / "w.safetensors")


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_a_file_that_holds_no_weights_is_refused(name, tmp_path):
    path = tmp_path / name
    with pytest.raises(NetworkError, match="there is no such file of weights"):
        weights.read(path)
    path.write_bytes(b"not weights")
    with pytest.raises(NetworkError, match=f"{name}: cannot be read as weights"):
        weights.read(path)


def test_a_pickle_that_would_run_code_is_not_run(tmp_path):
    torch.save({"conv1.weight": nn.Linear(1, 1)}, tmp_path / "w.pth")
    with pytest.raises(NetworkError, match="holds an object of Python"):
        weights.read(tmp_path / "w.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(NetworkError, match="holds no weights by name"):
        weights.read(tmp_path / "list.pth")


def test_rows_and_modules_have_the_same_parameters_layer_by_layer():
    network = NetworkConfig(layers="conv8 res(conv8s2 conv16) fc8", norm="group", bias=False)
    module = build(network, (3, 8, 8), 10, 0)
    for row in all_layers(resolve(network, (3, 8, 8), 10)):
        if row.layer.kind in {"conv", "fc"}:
            shape = module.get_submodule(row.name).weight.shape
            assert row.weights == math.prod(shape)
            assert row.biases == (10 if row.is_last else 0)


@pytest.mark.parametrize("head", ["classifier", "none"])
def test_the_logits_are_scaled(head):
    layers = "conv8 pool conv16" if head == "classifier" else "conv8 gap fc10"
    plain, scaled = (
        build(NetworkConfig(layers=layers, head=head, logit_scale=scale), (3, 8, 8), 10, seed=0)
        for scale in (1.0, 0.25)
    )
    x = images(3, 8, 8)
    assert torch.equal(scaled(x), 0.25 * plain(x))
    assert scaled.state_dict().keys() == plain.state_dict().keys()
