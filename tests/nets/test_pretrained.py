"""Modules that somebody else has built, with weights from files made here; nothing is downloaded."""

import hashlib
import re
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from striate.core.errors import NetworkError
from striate.nets import NetworkConfig
from striate.nets.pytorch import pretrained, weights
from striate.nets.pytorch.build import build
from striate.nets.pytorch.freeze import learning
from striate.nets.summary.summarize import count_parameters

# The smallest of torchvision, and the only one that these tests need to fill.
NAME, IMAGE = "squeezenet1_1", (3, 32, 32)


def network(**fields):
    return NetworkConfig.model_validate({"torchvision": NAME, **fields})


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A file as torchvision publishes it: 1,000 classes, named by its checksum, in torch's folder."""
    from torchvision import models

    torch.manual_seed(5)
    module = models.get_model(NAME, weights=None)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(module.state_dict(), folder / "made.pth")
    digest = hashlib.sha256((folder / "made.pth").read_bytes()).hexdigest()
    path = (folder / "made.pth").rename(folder / f"{NAME}-{digest[:8]}.pth")
    monkeypatch.setattr(pretrained, "weights_file", lambda name: (f"https://nowhere.invalid/{path.name}", path))
    return path, module.state_dict()


def head(module):
    return {name for name, tensor in module.named_parameters() if tensor.shape[:1] == (7,)}


def test_the_published_weights_but_for_the_head(file):
    _, theirs = file
    module = build(network(pretrained=True), IMAGE, 7, seed=0)
    ours = module.state_dict()
    assert head(module) == {"classifier.1.weight", "classifier.1.bias"}
    assert all(torch.equal(ours[name], theirs[name]) for name in ours.keys() - head(module))
    with torch.inference_mode():
        assert module.eval()(torch.zeros(1, *IMAGE)).shape == (1, 7)


def test_a_head_of_as_many_classes_is_drawn_too(file):
    _, theirs = file
    module = build(network(pretrained=True), IMAGE, 1000, seed=0)
    assert not torch.equal(module.state_dict()["classifier.1.weight"], theirs["classifier.1.weight"])


def test_freezing_all_but_the_head(file):
    module = build(network(pretrained=True, freeze="all-but-head"), IMAGE, 7, seed=0)
    assert {name for name, p in module.named_parameters() if p.requires_grad} == head(module)
    assert sum(p.numel() for p in learning(module)) == 7 * 512 + 7


def test_freezing_up_to_a_layer():
    module = build(network(freeze="up-to features.3"), IMAGE, 7, seed=0)
    learns = [name for name, p in module.named_parameters() if p.requires_grad]
    assert learns[0].startswith("features.4")
    with pytest.raises(NetworkError, match=r"no layer 'features.99' with parameters; did you mean 'features.9'"):
        build(network(freeze="up-to features.99"), IMAGE, 7, seed=0)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_weights_from_a_file_of_the_users(suffix, file, tmp_path):
    path, theirs = file
    if suffix == "safetensors":
        source = build(network(pretrained=str(path)), IMAGE, 7, seed=3)
        path = tmp_path / "w.safetensors"
        weights.save(source, path)
    ours = build(network(pretrained=str(path)), IMAGE, 7, seed=0).state_dict()
    assert torch.equal(ours["features.0.weight"], theirs["features.0.weight"])


def test_weights_that_cannot_be_downloaded_say_which_file_to_put_where(file, monkeypatch):
    path, _ = file
    path.unlink()

    def refuse(url, *rest, **more):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(NetworkError) as caught:
        build(network(pretrained=True), IMAGE, 7, seed=0)
    for part in (NAME, "no route to host", f"https://nowhere.invalid/{path.name}", str(path), "pretrained: PATH"):
        assert part in str(caught.value)


def test_a_damaged_file_is_found(file):
    path, _ = file
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(NetworkError, match="is damaged: its SHA-256 begins"):
        build(network(pretrained=True), IMAGE, 7, seed=0)


def test_weights_as_they_were_published_years_ago(tmp_path, monkeypatch):
    """DenseNet's file has dots in its layers' names and does not count batches."""
    module = pretrained._from_torchvision("densenet121", 7)
    theirs = module.state_dict()
    old = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", name): tensor
        for name, tensor in theirs.items()
        if not name.endswith("num_batches_tracked")
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "old.pth")
    monkeypatch.setattr(pretrained, "weights_file", lambda name: ("", tmp_path / "old.pth"))
    ours = build(NetworkConfig(torchvision="densenet121", pretrained=True), IMAGE, 7, seed=0).state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs if not name.startswith("classifier"))


def test_a_module_that_asks_for_the_version_of_its_weights_gets_it(tmp_path):
    source = build(NetworkConfig(torchvision="mnasnet0_5"), IMAGE, 7, seed=0)
    weights.save(source, tmp_path / "w.safetensors")
    other = NetworkConfig(torchvision="mnasnet0_5", pretrained=str(tmp_path / "w.safetensors"))
    ours = build(other, IMAGE, 7, seed=1).state_dict()
    assert torch.equal(ours["layers.0.weight"], source.state_dict()["layers.0.weight"])


def test_the_file_of_another_network_is_refused(tmp_path):
    weights.save(nn.Linear(3, 4), tmp_path / "w.safetensors")
    with pytest.raises(
        NetworkError, match=r"w.safetensors: has no 'features.0.bias', .* and 47 more, which the network has"
    ):
        build(network(pretrained=str(tmp_path / "w.safetensors")), IMAGE, 7, seed=0)


@pytest.mark.parametrize("name", ["alexnet", "vgg16", "resnet18", "mobilenet_v3_small", "efficientnet_b0"])
def test_the_address_and_the_folder_are_torchvisions(name, monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    url, path = pretrained.weights_file(name)
    assert url.startswith("https://download.pytorch.org/models/")
    assert path == tmp_path / "checkpoints" / url.rpartition("/")[2]
    assert torch.hub.HASH_REGEX.search(path.name)


@pytest.mark.parametrize(
    ("name", "count"),
    # torchvision's published counts for 1,000 classes.
    [
        ("alexnet", 61_100_840),
        ("vgg16", 138_357_544),
        ("resnet18", 11_689_512),
        ("mobilenet_v3_small", 2_542_856),
        ("efficientnet_b0", 5_288_548),
    ],
)
def test_parameters_are_counted_without_making_them(name, count):
    assert count_parameters(NetworkConfig(torchvision=name), (3, 224, 224), 1000) == count


def test_the_head_is_replaced_whatever_it_is_called():
    for name, last in (("resnet18", "fc"), ("mobilenet_v3_small", "classifier.3"), ("densenet121", "classifier")):
        module, names = pretrained._construct(NetworkConfig(torchvision=name), IMAGE, 7, 0, pretrained._META)
        assert names == {f"{last}.weight", f"{last}.bias"}
        assert module.get_parameter(f"{last}.weight").shape[0] == 7


@pytest.mark.parametrize(
    ("fields", "image", "message"),
    [
        ({"torchvision": "resnet19"}, IMAGE, "'resnet19' is not a classifier of torchvision; did you mean 'resnet1"),
        ({"torchvision": "googlenet"}, IMAGE, "'googlenet' gives several outputs in training"),
        ({"torchvision": NAME}, (1, 32, 32), f"{NAME} of torchvision does not take 1x32x32 images"),
        ({"torchvision": NAME}, (3, 8, 8), f"{NAME} of torchvision does not take 3x8x8 images"),
    ],
)
def test_what_torchvision_cannot_do_is_refused(fields, image, message):
    with pytest.raises(NetworkError, match=message):
        build(NetworkConfig.model_validate(fields), image, 7, seed=0)


def test_the_seed_decides_what_a_foreign_module_draws():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first, same, other = (build(network(), IMAGE, 7, seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["features.0.weight"], other["features.0.weight"])
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.fixture
def user_module(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "import math\n"
        "from torch import nn\n"
        "def small(classes, input_shape, hidden=4):\n"
        "    features = nn.Linear(math.prod(input_shape), hidden)\n"
        "    return nn.Sequential(nn.Flatten(), features, nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, classes))\n"
        "def wrong():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(3072, 3))\n"
        "def broken(classes, hidden=3):\n"
        "    return Part(hidden)\n"
        "class Part(nn.Module):\n"
        "    def __init__(self, hidden):\n"
        "        super().__init__()\n"
        "        if hidden % 2:\n"
        "            raise ValueError(f'hidden must be even, got {hidden}')\n"
        "        self.layer = nn.Linear(2.5, hidden)\n"
        "    def forward(self, x):\n"
        "        return self.layer(x)\n"
        "def stops_in_forward(classes):\n"
        "    module = Part.__new__(Part)\n"
        "    nn.Module.__init__(module)\n"
        "    module.layer = nn.Linear(3, classes)\n"
        "    return module\n"
        "def leaves():\n"
        "    raise SystemExit(3)\n"
        "def no_module():\n"
        "    return 3\n"
        "constant = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield "mine"
    sys.modules.pop("mine", None)


def test_a_module_of_the_users_own(user_module, tmp_path):
    own = NetworkConfig.model_validate({"import": "mine:small", "args": {"hidden": 5}, "freeze": "all-but-head"})
    module = build(own, IMAGE, 7, seed=0)
    assert count_parameters(own, IMAGE, 7) == 3072 * 5 + 5 + 10 + 5 * 7 + 7
    assert {name for name, p in module.named_parameters() if p.requires_grad} == {"4.weight", "4.bias"}
    weights.save(module, tmp_path / "w.safetensors")
    other = build(own.replace(pretrained=str(tmp_path / "w.safetensors")), IMAGE, 7, seed=1)
    assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in module.state_dict().items())


@pytest.mark.parametrize(
    ("factory", "args", "message"),
    [
        (
            "nowhere:small",
            {},
            "import: Python finds no module 'nowhere' beside the study file, in the working directory or among installed packages; "
            "put its file there, or name its folder in PYTHONPATH",
        ),
        ("mine:smal", {}, "import: mine has no function or class 'smal'; did you mean 'small'?"),
        ("mine:constant", {}, "import: mine has no function or class 'constant'"),
        ("mine:no_module", {}, "mine:no_module gives 3; it must give a torch.nn.Module"),
        ("mine:small", {"hiden": 5}, "args: mine:small does not take them: got an unexpected keyword argument 'hiden'"),
        ("mine:wrong", {}, "mine:wrong gives .2, 3. for 2 images; 7 classes need .2, 7."),
    ],
)
def test_what_is_wrong_with_it_is_stated(user_module, factory, args, message):
    own = NetworkConfig.model_validate({"import": factory, "args": args})
    with pytest.raises(NetworkError, match=message.replace("?", r"\?")):
        build(own, IMAGE, 7, seed=0)


def test_a_file_for_other_classes_fills_a_module_of_the_users_own_but_for_its_head(user_module, tmp_path):
    """As people have them: trained on another problem; the head is then drawn as the module draws it."""
    own = NetworkConfig.model_validate({"import": "mine:small"})
    weights.save(build(own, IMAGE, 7, seed=0), tmp_path / "seven.safetensors")
    filled = own.replace(pretrained=str(tmp_path / "seven.safetensors"))
    seven, three, plain = build(own, IMAGE, 7, seed=0), build(filled, IMAGE, 3, seed=1), build(own, IMAGE, 3, seed=1)
    assert torch.equal(three[1].weight, seven[1].weight)
    assert torch.equal(three[4].weight, plain[4].weight)
    assert count_parameters(filled, IMAGE, 3) == 3072 * 4 + 4 + 8 + 4 * 3 + 3
    with pytest.raises(NetworkError, match=r"'1.bias' is \(4,\), and the network's is \(6,\)"):
        build(filled.replace(args={"hidden": 6}), IMAGE, 3, seed=1)


def test_what_a_factory_prints_is_kept_from_the_output(tmp_path, monkeypatch, capsys):
    """There the answer is, as JSON perhaps."""
    (tmp_path / "talks.py").write_text(
        "from torch import nn\n"
        "def net(classes):\n"
        "    print('Loaded pretrained weights')\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(3072, classes))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    build(NetworkConfig.model_validate({"import": "talks:net"}), IMAGE, 7, seed=0)
    sys.modules.pop("talks")
    out, err = capsys.readouterr()
    assert (out, "Loaded pretrained weights" in err) == ("", True)


def test_whether_a_module_comes_with_trained_weights(user_module, tmp_path):
    own = NetworkConfig.model_validate({"import": "mine:small"})
    assert pretrained.draws_weights(own, IMAGE, 7)
    (tmp_path / "trained.py").write_text(
        "import torch\nfrom torch import nn\n"
        "def net(classes):\n"
        "    body = nn.Linear(3072, 4)\n"
        "    nn.init.constant_(body.weight, 0.5)\n"
        "    nn.init.zeros_(body.bias)\n"
        "    return nn.Sequential(nn.Flatten(), body, nn.ReLU(), nn.Linear(4, classes))\n"
    )
    assert not pretrained.draws_weights(NetworkConfig.model_validate({"import": "trained:net"}), IMAGE, 7)
    sys.modules.pop("trained")


HERE = str(Path(__file__).parents[2])


def refusal(factory, **changes):
    with pytest.raises(NetworkError) as caught:
        count_parameters(NetworkConfig.model_validate({"import": factory, **changes}), IMAGE, 7)
    return str(caught.value)


def test_a_factory_that_raises_is_reported_with_the_users_frames_alone(user_module, tmp_path):
    first, *frames = refusal("mine:broken").splitlines()
    assert first == "import: mine:broken(classes=7) failed with ValueError: hidden must be even, got 3"
    assert frames == [
        f'  File "{tmp_path / "mine.py"}", line 9, in broken',
        "    return Part(hidden)",
        "           ^^^^^^^^^^^^",
        f'  File "{tmp_path / "mine.py"}", line 14, in __init__',
        "    raise ValueError(f'hidden must be even, got {hidden}')",
    ]


@pytest.mark.parametrize(
    ("factory", "args", "says", "line"),
    [
        ("broken", {"hidden": 4}, r"mine:broken\(classes=7, hidden=4\) failed with TypeError: ", "self.layer = nn.Linear(2.5, hidden)"),
        ("stops_in_forward", {}, "mine:stops_in_forward does not take 3x32x32 images: RuntimeError: ", "return self.layer(x)"),
        ("leaves", {}, r"mine:leaves\(\) failed with SystemExit: 3", "raise SystemExit(3)"),
    ],
)  # fmt: skip
def test_errors_of_torch_in_the_users_code_end_at_the_users_line(user_module, factory, args, says, line):
    text = refusal(f"mine:{factory}", args=args)
    assert re.search(says, text)
    assert [shown for shown in text.splitlines() if set(shown.strip()) - set("^~")][-1].strip() == line
    assert HERE not in text
    assert "site-packages" not in text


@pytest.mark.parametrize(
    ("source", "says", "line"),
    [
        ("import torch\nimport no_such_package\n", "ModuleNotFoundError: No module named 'no_such_package'", "import no_such_package"),
        ("def f(:\n", "SyntaxError: invalid syntax", "def f(:"),
        ("1 / 0\n", "ZeroDivisionError: division by zero", "1 / 0"),
    ],
)  # fmt: skip
def test_a_module_that_cannot_be_imported_is_reported_with_its_line(tmp_path, monkeypatch, source, says, line):
    (tmp_path / "mine.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    text = refusal("mine:small")
    assert text.startswith(f"import: importing mine failed with {says}")
    assert f'File "{tmp_path / "mine.py"}", line ' in text
    assert line in [shown.strip() for shown in text.splitlines()]
    assert HERE not in text


def test_the_versions_of_published_layers_are_kept(tmp_path, monkeypatch):
    """MnasNet reads from them how wide its first layers are."""
    theirs = pretrained._from_torchvision("mnasnet0_5", 7).state_dict()
    torch.save(theirs, tmp_path / "w.pth")
    monkeypatch.setattr(pretrained, "weights_file", lambda name: ("", tmp_path / "w.pth"))
    tensors, _ = pretrained.published_weights("mnasnet0_5")
    assert tensors._metadata[""]["version"] == theirs._metadata[""]["version"] > 1


@pytest.mark.slow
@pytest.mark.parametrize("name", pretrained.classifiers())
def test_every_network_that_is_offered_is_made_and_its_head_found(name):
    _, names = pretrained._construct(NetworkConfig(torchvision=name), (3, 224, 224), 7, 0, pretrained._META)
    assert names
