"""What a study file may say of a network: names, families, whole-network keys, and complaints at the right key."""

import hashlib

import pytest

from striate.core import config
from striate.core.errors import ConfigError, NetworkError
from striate.core.records import fingerprint
from striate.nets import NETWORKS, NetworkConfig, all_layers
from striate.nets.resolve import resolve
from striate.nets.summary.summarize import count_parameters
from striate.nets.zoo import FAMILIES
from striate.studies.study import Study, read_study

IMAGE = (3, 32, 32)


def removed_by_linear(network):
    """What `linear: true` took out of `network`: (layer, part), in order."""
    return tuple(
        (layer.name, part) for layer in all_layers(resolve(network, IMAGE, 10)) for part in layer.removed_by_linear
    )


def network(**fields):
    return NetworkConfig.model_validate(fields)


def test_a_name_stands_for_what_the_dictionary_says():
    resnet = NetworkConfig.model_validate("resnet20")
    assert resnet == network(**NETWORKS["resnet20"].config)
    assert (resnet.norm, resnet.bias, resnet.head) == ("batch", False, "gap")


def test_what_is_said_beside_a_name_goes_before_it():
    assert network(layers="resnet20", norm="none") == network(layers="resnet20").replace(norm="none")


@pytest.mark.parametrize("name", NETWORKS)
def test_every_named_network_can_be_written_down_and_read_again(name):
    named = network(layers=name)
    assert NetworkConfig.model_validate(named.model_dump(mode="json")) == named
    assert NetworkConfig.model_validate(named.model_dump(mode="json", exclude_defaults=True)) == named
    assert NETWORKS[name].source.endswith(".")


@pytest.mark.parametrize(
    ("fields", "layers"),
    [
        ({"family": "stack"}, "conv100 conv200 pool"),
        ({"family": "stack", "conv": 1}, "conv100 pool"),
        ({"family": "stack", "conv": 3, "fc": 2, "step": 10}, "conv10 conv20 pool conv30 pool fc10"),
        (
            {"family": "stack", "conv": 7, "fc": 3},
            "conv100 conv200 pool conv300 conv400 conv500 conv600 conv700 pool fc100 fc200",
        ),
        ({"family": "blocks"}, "res(conv32 conv32) pool res(conv64 conv64) pool"),
        ({"family": "blocks", "depth": 2, "block_depth": 1, "filters": 8}, "conv8 pool conv16 pool"),
        ({"family": "blocks", "depth": 1, "block_depth": 2, "filters": 8, "skip": False}, "conv8 conv8 pool"),
        ({"family": "shallow", "filters": 6}, "conv6"),
    ],
)
def test_a_family_is_written_out(fields, layers):
    assert network(**fields).title == layers


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_and_its_layers_written_out_are_the_same_run(family):
    made = network(family=family, norm="batch")
    assert fingerprint(made) == fingerprint(network(layers=made.title, norm="batch"))
    assert count_parameters(made, IMAGE, 10) == count_parameters(network(layers=made.title, norm="batch"), IMAGE, 10)


def test_the_head_of_a_shallow_network():
    assert count_parameters(network(family="shallow", filters=6, head="fc"), IMAGE, 10) == 168 + 6 * 32 * 32 * 10 + 10
    assert count_parameters(network(family="shallow", filters=16, head="gap"), IMAGE, 10) == 448 + 16 * 10 + 10


def test_a_grid_crosses_the_numbers_of_a_family():
    text = """
question: how many layers?
data: digits
network: {family: stack, step: 8}
grid: {network.conv: [1, 2, 3], network.fc: [1, 2]}
"""
    _, arms, _ = read_study(config.parse(text, "s.yaml"))
    assert [arm.network.title for arm in arms][::3] == ["conv8 pool", "conv8 conv16 pool fc8"]
    assert len({fingerprint(arm.network) for arm in arms}) == 6


def test_an_arm_changes_one_key_of_a_named_network():
    text = "question: q\ndata: digits\nnetwork: resnet20\narms: {a: {}, b: {network.norm: none}}"
    _, arms, _ = read_study(config.parse(text, "s.yaml"))
    assert [arm.network.norm for arm in arms] == ["batch", "none"]
    assert arms[1].network.head == "gap"


def test_base_starts_from_a_named_network_as_it_does_for_recipes():
    plain, changed = (
        NetworkConfig.model_validate(value) for value in ("report-d", {"base": "report-d", "norm": "batch"})
    )
    assert (changed.norm, changed.layers) == ("batch", plain.layers)
    assert fingerprint(NetworkConfig.model_validate({"base": "report-d"})) == fingerprint(plain)
    assert fingerprint(changed) == fingerprint(NetworkConfig.model_validate({"layers": "report-d", "norm": "batch"}))


def test_an_arm_changes_the_base_of_a_network():
    text = "question: q\ndata: digits\nnetwork: {base: report-b}\narms: {a: {}, b: {network.filters: 8}}"
    _, arms, _ = read_study(config.parse(text, "s.yaml"))
    assert arms[1].network.family_numbers == {"depth": 3, "block_depth": 3, "filters": 8}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("resnet21", "network.layers: 'resnet21' is neither a layer nor a named network; did you mean 'resnet20'?"),
        ("conv8 cnv8", "network.layers: 'cnv8' is not a layer; did you mean 'conv'?\n  conv8 cnv8\n        ^"),
        ("{layer: conv8}", "network.layer: unknown key; did you mean 'layers'?"),
        ("{imprt: 'a:b'}", "network.imprt: unknown key; did you mean 'import'?"),
        ("{base: resnet21}", "there is no network 'resnet21'; did you mean 'resnet20'?"),
        (
            "{base: report-d, layers: vgg11}",
            "base and layers both name a network, report-d and vgg11; give one of them",
        ),
        (
            "{base: report-b, layers: conv8}",
            "give one of layers, family, torchvision and import, got layers and family",
        ),
        ("{}", "give one of layers, family, torchvision and import, got none of them"),
        ("{family: stack, layers: conv8}", "give one of layers, family, torchvision and import, got layers and family"),
        ("{family: stak}", "network.family: must be one of 'stack', 'blocks' or 'shallow', got 'stak'"),
        ("{family: stack, depth: 3}", "the family 'stack' has no depth; its numbers are conv, fc, step"),
        ("{family: blocks, depth: 0}", "network.depth: must be greater than or equal to 1, got 0"),
        ("{layers: conv8, conv: 3}", "conv has no effect on a network given by layers; leave it out"),
        ("{layers: conv8, pretrained: true}", "pretrained has no effect on a network given by layers"),
        ("{torchvision: alexnet, norm: batch}", "norm has no effect on a network given by torchvision"),
        ("{torchvision: alexnet, args: {a: 1}}", "args has no effect on a network given by torchvision"),
        ("{import: a.b}", "network.import: is written package.module:factory, got 'a.b'"),
        ("{import: 'a:b', pretrained: true}", "for your own module give the path of its weights"),
        ("{layers: conv8, freeze: most}", "network.freeze: must be none, all-but-head or 'up-to LAYER', got 'most'"),
        ("{layers: conv8, activation: swish}", "network.activation: must be one of 'none', 'relu'"),
        ("{layers: conv8, width: 0}", "network.width: must be greater than 0, got 0"),
        ("{layers: conv8, width: 1.0e308}", "network.width: must be less than or equal to 1000"),
        ("{family: stack, conv: 1000000000}", "network.conv: must be less than or equal to 2000, got 1000000000"),
        (f"{{family: shallow, filters: {10**15}}}", "a number has at most 9 digits, got 16"),
        ("{layers: conv8, dims: 4}", "network.dims: must be one of 2 or 3, got 4"),
    ],
)
def test_a_wrong_key_is_named_with_its_line(value, message):
    with pytest.raises(ConfigError) as caught:
        config.build(Study, config.parse(f"question: q\ndata: digits\nnetwork: {value}", "s.yaml"))
    assert str(caught.value).startswith("s.yaml, line 3: network")
    assert message in str(caught.value)


def test_width_multiplies_filters_and_units_but_not_the_logits():
    wide = network(layers="conv8 res(conv8 conv8 | conv8k1) conv9g3 fc10", width=1.5)
    table = {row.name: row.output_shape[0] for row in all_layers(resolve(wide, (3, 4, 4), 7))}
    assert table == {
        "conv1": 12, "res1.conv1": 12, "res1.conv2": 12, "res1.shortcut.conv1": 12, "res1": 12,
        "conv2": 12, "flatten1": 192, "fc1": 15, "fc2": 7,
    }  # fmt: skip
    assert resolve(network(layers="conv8 gap fc7", head="none", width=3), (3, 4, 4), 7)[-1].output_shape == (7,)
    assert resolve(network(layers="conv8", width=0.01), (3, 4, 4), 7)[0].output_shape[0] == 1


def test_linear_says_what_it_takes_out():
    linear = network(layers="conv8 pool res(conv8:tanh conv8) conv8:layer pool avgpool fc8:noact", linear=True)
    assert removed_by_linear(linear) == (
        ("conv1", "relu"),
        ("pool1", "max pool, now average pool"),
        ("res1.conv1", "tanh"),
        ("res1", "relu"),
        ("conv2", "layer norm"),
        ("conv2", "relu"),
        ("pool2", "max pool, now average pool"),
    )
    assert removed_by_linear(linear.replace(linear=False)) == ()


def test_batch_norm_stays_in_a_linear_network():
    assert removed_by_linear(network(layers="conv8", norm="batch", activation="none", linear=True)) == ()


def test_defaults_leave_the_fingerprint_of_a_plain_network_alone():
    """A run folder of the first release names its network so."""
    assert network(layers="conv8 pool").identity() == {"layers": "conv8 pool"}


def test_where_a_file_of_weights_is_does_not_count_but_what_is_in_it(tmp_path):
    files = {name: tmp_path / name for name in ("a.pth", "b.pth", "other.pth")}
    for name, path in files.items():
        path.write_bytes(b"other" if name == "other.pth" else b"weights")
    first, same, other = (network(torchvision="alexnet", pretrained=str(path)) for path in files.values())
    assert fingerprint(first) == fingerprint(same) != fingerprint(network(torchvision="alexnet"))
    assert first.weights_digest() == same.weights_digest() == hashlib.sha256(b"weights").hexdigest()
    assert first.weights_digest() != other.weights_digest()
    assert network(torchvision="alexnet", pretrained=True).weights_digest() == ""
    with pytest.raises(NetworkError, match=r"pretrained: .*gone.pth cannot be read: No such file"):
        first.replace(pretrained=str(tmp_path / "gone.pth")).weights_digest()


def test_the_layers_of_a_foreign_module_are_for_torch_to_say():
    with pytest.raises(NetworkError, match="alexnet of torchvision is a torch module"):
        resolve(network(torchvision="alexnet"), IMAGE, 10)
