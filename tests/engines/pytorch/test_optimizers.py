"""Optimizers go by torch's names and arguments, and torch's signature is what is checked."""

import math
import re

import pytest
import torch

from striate.core.errors import RecipeError
from striate.engines.pytorch import muon, optimizers
from striate.recipes import OptimizerConfig


@pytest.mark.parametrize("name", sorted(optimizers.supported().keys() - {"Muon"}))
def test_every_known_optimizer_is_torch_s_own_with_its_own_defaults(name):
    ours = optimizers.build(OptimizerConfig(name=name, lr=0.5), [torch.nn.Parameter(torch.zeros(3))])
    theirs = getattr(torch.optim, name)([torch.nn.Parameter(torch.zeros(3))], lr=0.5)
    assert isinstance(ours, type(theirs))
    assert {**ours.defaults, "fused": None} == {**theirs.defaults, "fused": None}


def test_the_common_ones_are_known():
    assert {"SGD", "Adam", "AdamW", "Adadelta", "RMSprop", "Adagrad"} <= optimizers.supported().keys()


def test_weight_decay_can_leave_biases_and_norms_alone():
    """After a step without a gradient's pull, only what decays has moved: 1 - lr * decay times."""
    config = OptimizerConfig(name="SGD", lr=0.5, weight_decay=0.1, decays="weights")
    matrix, vector = torch.nn.Parameter(torch.ones(2, 2)), torch.nn.Parameter(torch.ones(2))
    optimizer = optimizers.build(config, [matrix, vector])
    (matrix.sum() * 0 + vector.sum() * 0).backward()
    optimizer.step()
    assert matrix.tolist() == [[pytest.approx(0.95)] * 2] * 2
    assert vector.tolist() == [1.0, 1.0]


def test_muon_takes_filters_as_matrices_and_gives_the_rest_to_adamw():
    """Against torch's own Muon on a matrix of the same numbers, and its AdamW on the bias; channels-last too."""
    for layout in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(0)
        bank = torch.nn.Parameter(torch.randn(6, 3, 2, 2).contiguous(memory_format=layout))
        bias = torch.nn.Parameter(torch.randn(6))
        matrix, alone = (
            torch.nn.Parameter(bank.detach().reshape(6, -1).clone()),
            torch.nn.Parameter(bias.detach().clone()),
        )
        ours = optimizers.build(OptimizerConfig(name="Muon", lr=0.02, weight_decay=0.01), [bank, bias])
        reference = torch.optim.Muon([matrix], lr=0.02, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
        adamw = torch.optim.AdamW([alone], lr=0.02, weight_decay=0.01)
        for _ in range(3):
            gradient, slope = torch.randn(6, 3, 2, 2), torch.randn(6)
            bank.grad, bias.grad = gradient.contiguous(memory_format=layout), slope
            matrix.grad, alone.grad = gradient.reshape(6, -1).clone(), slope.clone()
            for optimizer in (ours, reference, adamw):
                optimizer.step()
            ours.load_state_dict(ours.state_dict())
        assert torch.allclose(bank.reshape(6, -1), matrix, atol=2e-3)  # bfloat16 inside torch's
        assert torch.allclose(bias, alone, atol=1e-6)
        assert {group["lr"] for group in ours.param_groups} == {0.02}


@pytest.mark.parametrize(
    "arguments", [{}, {"nesterov": False}, {"adjust_lr_fn": "original"}, {"adjust_lr_fn": "spectral_unclamped"}]
)
@pytest.mark.parametrize("shapes", [[(6, 20), (6, 20), (20, 6), (4, 9)], [(8, 8)]])
def test_muon_in_batches_is_torch_s_muon_matrix_by_matrix(shapes, arguments):
    """In bfloat16, torch's step is exact to 2 digits."""
    torch.manual_seed(0)
    ours, theirs = ([torch.nn.Parameter(torch.zeros(shape)) for shape in shapes] for _ in range(2))
    optimizer = optimizers.build(
        OptimizerConfig(name="Muon", lr=0.02, **{"adjust_lr_fn": "match_rms_adamw", **arguments}), ours
    )
    reference = torch.optim.Muon(theirs, lr=0.02, **{"adjust_lr_fn": "match_rms_adamw", **arguments})
    for _ in range(3):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn(a.shape)
            b.grad = a.grad.clone()
        optimizer.step()
        reference.step()
    for a, b in zip(ours, theirs, strict=True):
        assert (a - b).norm() < 0.05 * b.norm()


@pytest.mark.parametrize("shape", [(3, 5, 40), (2, 40, 5), (1, 16, 16)])
@pytest.mark.parametrize("condition", [1e0, 1e4])
def test_the_orthogonalization_is_the_iteration_written_out_in_float64(shape, condition):
    generator = torch.Generator().manual_seed(0)
    u, s, v = torch.linalg.svd(torch.randn(shape, generator=generator), full_matrices=False)
    x = u @ torch.diag_embed(torch.logspace(0, -math.log10(condition), s.shape[1]).expand_as(s)) @ v
    a, b, c = coefficients = (3.4445, -4.7750, 2.0315)
    expected = x.double() / torch.linalg.matrix_norm(x.double(), keepdim=True)
    for _ in range(5):
        s = expected @ expected.mT
        expected = a * expected + (b * s + c * s @ s) @ expected
    result = muon.orthogonalized(x, coefficients, 5, 1e-7)
    assert (result - expected).norm() < 1e-3 * expected.norm()
    wrong = muon.orthogonalized(x, (a, b, -c), 5, 1e-7)
    assert not (wrong - expected).norm() < 1e-3 * expected.norm()


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
        (
            {"name": "Adam", "betas": {"a": 1}},
            "recipe.optimizer: torch's Adam refuses {'lr': 0.001, 'betas': {'a': 1}}: KeyError",
        ),
        ({"name": "Adam", "capturable": True, "foreach": True}, "recipe.optimizer: torch's Adam refuses"),
        ({"name": "SGD", "momentum": "much"}, "recipe.optimizer: torch's SGD refuses"),
        ({"name": "Muon", "ns_steps": 1000}, "recipe.optimizer: torch's Muon refuses"),
        ({"name": "Rprop", "decays": "weights"}, "recipe.optimizer.decays: torch's Rprop has no weight decay"),
    ],
)
def test_what_torch_does_not_have_is_refused_before_training(config, message):
    with pytest.raises(RecipeError, match="^" + re.escape(message)):
        optimizers.check(OptimizerConfig(**config))
