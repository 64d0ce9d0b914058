"""What a factory of the user's may give: lazy layers are settled, TorchScript is refused, errors are told in a sentence."""

import pytest
import torch
from torch import nn

from striate.core.errors import NetworkError
from striate.nets import NetworkConfig
from striate.nets.pytorch.build import build
from striate.nets.summary.summarize import count_parameters

IMAGE, CLASSES = (3, 8, 8), 5
NAMES = ("lazy", "lazy_unused", "scripted", "part_scripted", "mute", "deep", "too_small")
OWN = {name: NetworkConfig.model_validate({"import": f"{__name__}:{name}"}) for name in NAMES}


def lazy():
    return nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(CLASSES))


def lazy_unused():
    module = nn.Sequential(nn.Flatten(), nn.Linear(192, CLASSES))
    module[0].spare = nn.LazyLinear(3)
    return module


def scripted():
    return torch.jit.script(nn.Sequential(nn.Flatten(), nn.Linear(192, CLASSES)))


def part_scripted():
    return nn.Sequential(nn.Flatten(), torch.jit.script(nn.Linear(192, CLASSES)))


class Mute(Exception):
    def __str__(self):
        raise ValueError


def mute():
    raise Mute


def deep():
    return deep()


def too_small():
    return nn.Sequential(nn.LazyConv2d(4, 9), nn.Flatten(), nn.LazyLinear(CLASSES))


def test_lazy_layers_take_their_shapes_from_one_pass_with_weights_of_the_seed():
    first, same, other = (build(OWN["lazy"], IMAGE, CLASSES, seed) for seed in (0, 0, 1))
    assert count_parameters(OWN["lazy"], IMAGE, CLASSES) == 4 * 3 * 9 + 4 + 8 + 4 * 36 * CLASSES + CLASSES
    assert torch.equal(first[4].weight, same[4].weight)
    assert not torch.equal(first[4].weight, other[4].weight)
    assert first.training
    assert first[1].num_batches_tracked == 0
    assert torch.equal(first[1].running_mean, torch.zeros(4))


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lazy_unused", "lazy_unused: '0.spare.weight' has no shape after a pass, which did not use its layer"),
        ("scripted", "scripted gives TorchScript, whose layers cannot be followed; give the torch.nn.Module that was"),
        ("part_scripted", "part_scripted gives TorchScript"),
        ("mute", r"mute\(\) failed with Mute: its message cannot be read\n  File .*, in mute\n    raise Mute"),
        ("deep", "deep.* failed with RecursionError: maximum recursion depth exceeded"),
        ("too_small", "too_small does not take 3x8x8 images: RuntimeError: .*Kernel size can't be greater"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_sentence(name, message):
    with pytest.raises(NetworkError, match=message) as caught:
        build(OWN[name], IMAGE, CLASSES, 0)
    assert len(str(caught.value).splitlines()) < 12
