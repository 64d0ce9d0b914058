"""Files of weights as training programs leave them: read, with a sentence on what was stripped, or refused."""

import io
import pickle
import re
import zipfile

import pytest
import torch
from torch import nn

from striate.core.errors import NetworkError
from striate.nets import NetworkConfig
from striate.nets.pytorch import checkpoints, weights
from striate.nets.pytorch.build import build
from striate.nets.summary.summarize import count_parameters

IMAGE, CLASSES = (3, 8, 8), 5


class Net(nn.Module):
    def __init__(self, classes=CLASSES):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
        self.fc = nn.Linear(144, classes)

    def forward(self, x):
        return self.fc(self.body(x))


class Wrapping(nn.Module):
    """A network whose own names begin with `module.`"""

    def __init__(self, classes=CLASSES):
        super().__init__()
        self.module = Net(classes)

    def forward(self, x):
        return self.module(x)


def network(path, name="Net"):
    return NetworkConfig.model_validate({"import": f"{__name__}:{name}", "pretrained": str(path)})


def prefixed(prefix, tensors):
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


def inside(prefix):
    """As `torch.compile` of a part of the network names its weights."""
    return lambda tensors: {name.replace("body.", f"body.{prefix}."): tensor for name, tensor in tensors.items()}


FORMS = {
    "plain": (lambda tensors: tensors, []),
    "of several devices": (lambda t: prefixed("module.", t), ["w.pth: 'module.' was stripped from the names of its weights"]),
    "compiled": (lambda t: prefixed("_orig_mod.", t), ["w.pth: '_orig_mod.' was stripped from the names of its weights"]),
    "both": (
        lambda t: prefixed("module._orig_mod.", t),
        ["w.pth: 'module.' and '_orig_mod.' were stripped from the names of its weights"],
    ),
    "a part compiled": (inside("_orig_mod"), ["w.pth: '_orig_mod.' was stripped from the names of its weights"]),
    "in a checkpoint": (
        lambda t: {"epoch": 3, "state_dict": t, "optimizer": {"state": {0: {"step": torch.ones(1)}}, "param_groups": [{"lr": 0.1}]}},
        ["w.pth: the weights are its 'state_dict' (left out: epoch, optimizer)"],
    ),
    "by another key": (
        lambda t: {"model_state_dict": t, "loss": 0.5},
        ["w.pth: the weights are its 'model_state_dict' (left out: loss)"],
    ),
    "by any key": (lambda t: {"trained": t}, ["w.pth: the weights are its 'trained'"]),
    "two deep": (lambda t: {"model": {"state_dict": t}}, ["w.pth: the weights are its 'model.state_dict'"]),
    "beside averaged ones": (
        lambda t: {"state_dict_ema": prefixed("x", t), "state_dict": t},
        ["w.pth: the weights are its 'state_dict' (left out: state_dict_ema)"],
    ),
    "of a trainer": (
        lambda t: {"state_dict": prefixed("model.", t), "lr_schedulers": []},
        [
            "w.pth: the weights are its 'state_dict' (left out: lr_schedulers)",
            "w.pth: 'model.' was stripped from the names of its weights",
        ],
    ),
    "averaged": (
        lambda t: {"n_averaged": torch.tensor(3), **prefixed("module.", t)},
        ["w.pth: 'module.' was stripped from the names of its weights, and 'n_averaged' left out"],
    ),
    "with a number beside": (lambda t: {**t, "epoch": 3}, ["w.pth: the weights are its tensors (left out: epoch)"]),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_weights_are_read_in_every_usual_form_and_what_was_stripped_is_said(tmp_path, form):
    make, expected = FORMS[form]
    torch.manual_seed(3)
    trained = Net().state_dict()
    torch.save(make(dict(trained)), tmp_path / "w.pth")
    said = []
    count_parameters(network(tmp_path / "w.pth"), IMAGE, CLASSES, said.append)
    assert said == expected
    read = build(network(tmp_path / "w.pth"), IMAGE, CLASSES, seed=0).state_dict()
    assert all(torch.equal(tensor, read[name]) for name, tensor in trained.items())


def test_safetensors_with_prefixes_are_read_too(tmp_path):
    trained = prefixed("module.", Net().state_dict())
    weights.save_file({name: tensor.clone() for name, tensor in trained.items()}, tmp_path / "w.safetensors")
    read = build(network(tmp_path / "w.safetensors"), IMAGE, CLASSES, seed=0).state_dict()
    assert torch.equal(read["fc.weight"], trained["module.fc.weight"])


def test_a_network_that_has_such_names_itself_keeps_them(tmp_path):
    trained = Wrapping().state_dict()
    torch.save(trained, tmp_path / "w.pth")
    said = []
    count_parameters(network(tmp_path / "w.pth", "Wrapping"), IMAGE, CLASSES, said.append)
    assert said == []


def test_what_does_not_fit_is_refused_with_the_first_names_and_shapes(tmp_path):
    def refusal(tensors, name="Net"):
        torch.save(tensors, tmp_path / "w.pth")
        with pytest.raises(NetworkError) as caught:
            build(network(tmp_path / "w.pth", name), IMAGE, CLASSES, seed=0)
        return str(caught.value).removeprefix(str(tmp_path))

    own = Net().state_dict()
    assert refusal({"fc.weight": own["fc.weight"]}) == (
        "/w.pth: has no 'body.0.bias', 'body.0.weight', 'body.1.bias' and 3 more, which the network has; known here: fc.weight"
    )
    others = {f"extra{number}": torch.ones(1) for number in range(5)}
    assert "holds 'extra0', 'extra1', 'extra2' and 2 more, which the network has not" in refusal({**own, **others})
    assert "'body.0.weight' is (4, 3, 5, 5), and the network's is (4, 3, 3, 3); is it" in refusal(
        {**own, "body.0.weight": torch.ones(4, 3, 5, 5)}
    )
    twice = {**prefixed("module.", own), **own}  # stripping would make two of one name
    assert "holds 'module.body.0.weight'" in refusal(twice)


class Runs:
    def __reduce__(self):
        return (print, ("this must never be printed",))


def test_the_file_of_another_network_is_told_by_a_few_names(tmp_path):
    """A network has hundreds of names, and a sentence is no list of them."""
    torch.save({f"stage{i}.kernel": torch.zeros(1) for i in range(40)}, tmp_path / "other.pth")
    words = (
        "has no '0.bias', '0.weight', '1.bias' and 3 more, which the network has; known here: stage0.kernel, stage1.kernel, "
        "stage2.kernel and 37 more; is it the file of another network?"
    )
    with pytest.raises(NetworkError, match=f"other.pth: {re.escape(words)}$"):
        weights.load(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), tmp_path / "other.pth")


def test_a_truncated_file_is_one_short_sentence(tmp_path):
    path = tmp_path / "torn.pth"
    torch.save({"weight": torch.zeros(4000)}, path)
    path.write_bytes(path.read_bytes()[:8000])
    with pytest.raises(NetworkError, match=r"^[^.]*torn\.pth: cannot be read as weights \([^.]*\); is it damaged\?$"):
        weights.read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (Net(), r"holds an object of Python \(.*Net\), and only tensors and plain values are read"),
        ({"state_dict": {"a": torch.ones(1)}, "args": Runs()}, r"holds an object of Python \(.*print\)"),
        (
            {"epoch": 3, "lr": 0.1},
            r"holds no weights by name \(its entries are epoch, lr\); save module.state_dict\(\)",
        ),
        ([torch.ones(1)], r"holds no weights by name \(it is a list\)"),
        ({}, r"holds no weights by name \(it is a dict\)"),
        ({"state_dict": {}}, "holds no weights by name"),
        ({3: torch.ones(1)}, "holds no weights by name"),
        (torch.ones(3), r"holds no weights by name \(it is a Tensor\)"),
    ],
)
def test_nothing_but_weights_is_read_and_no_code_runs(tmp_path, capsys, content, message):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(NetworkError, match=message):
        checkpoints.read(tmp_path / "w.pth")
    assert capsys.readouterr().out == ""


def whole_file():
    buffer = io.BytesIO()
    torch.save(Net().state_dict(), buffer)
    return buffer.getvalue()


def archive_of(name, content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(name, content)
    return buffer.getvalue()


DAMAGED = {
    "empty": b"",
    "text": b"weights",
    "torn": whole_file()[:-100],
    "torn early": whole_file()[:300],
    "pickle": pickle.dumps(Runs()),
    "archive": archive_of("a.txt", b"x"),
    "archive of a pickle": archive_of("a/data.pkl", pickle.dumps(Runs())),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_or_hostile_file_is_refused_in_one_sentence(tmp_path, capsys, content):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(NetworkError, match=r"w\.pth: (cannot be read as weights|holds an object of Python)") as caught:
        checkpoints.read(tmp_path / "w.pth")
    assert len(str(caught.value).splitlines()) == 1
    assert capsys.readouterr().out == ""
