"""Optimizers go by torch's names and arguments, and torch's signature is what is checked."""

import pytest
import torch

from striate.core.errors import RecipeError
from striate.recipes import OptimizerConfig
from striate.training import optimizers


@pytest.mark.parametrize("name", sorted(optimizers.known()))
def test_every_known_optimizer_is_torch_s_own_with_its_own_defaults(name):
    ours = optimizers.build(OptimizerConfig(name=name, lr=0.5), [torch.nn.Parameter(torch.zeros(3))])
    theirs = getattr(torch.optim, name)([torch.nn.Parameter(torch.zeros(3))], lr=0.5)
    assert type(ours) is type(theirs)
    assert {**ours.defaults, "fused": None} == {**theirs.defaults, "fused": None}


def test_the_common_ones_are_known():
    assert {"SGD", "Adam", "AdamW", "Adadelta", "RMSprop", "Adagrad"} <= optimizers.known().keys()


def test_arguments_reach_torch():
    config = OptimizerConfig(name="Adam", lr=0.01, betas=[0.8, 0.9], weight_decay=0.1)
    built = optimizers.build(config, [torch.nn.Parameter(torch.zeros(1))])
    assert built.defaults["betas"] == (0.8, 0.9)
    assert built.defaults["weight_decay"] == 0.1


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "adam"}, "recipe.optimizer.name: torch has no optimizer 'adam' for this; did you mean 'Adam'?"),
        ({"name": "Addam"}, "recipe.optimizer.name: torch has no optimizer 'Addam' for this; did you mean 'Adam'?"),
        ({"name": "LBFGS"}, "recipe.optimizer.name: torch has no optimizer 'LBFGS' for this"),
        ({"name": "Optimizer"}, "recipe.optimizer.name: torch has no optimizer 'Optimizer' for this"),
        (
            {"name": "Adam", "momentun": 0.9},
            "recipe.optimizer.momentun: torch's Adam has no such argument; known here: ",
        ),
        (
            {"name": "SGD", "momentun": 0.9},
            "recipe.optimizer.momentun: torch's SGD has no such argument; did you mean 'momentum'?",
        ),
        ({"name": "Adam", "betas": [2.0, 0.9]}, "recipe.optimizer: torch's Adam refuses"),
        ({"name": "SGD", "momentum": "much"}, "recipe.optimizer: torch's SGD refuses"),
    ],
)
def test_what_torch_does_not_have_is_refused_before_training(config, message):
    with pytest.raises(RecipeError) as caught:
        optimizers.check(OptimizerConfig(**config))
    assert str(caught.value).startswith(message)
