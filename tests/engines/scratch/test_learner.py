"""The learner: the number of threads changes the last bits only, an error in one is raised, a saved state resumes."""

import re

import numpy as np
import pytest

from striate.core.errors import NetworkError, RecipeError
from striate.engines.scratch.context import ForwardContext
from striate.engines.scratch.learner import Learner, MixedLabels
from striate.engines.scratch.optimized import layers as optimized_layers
from striate.engines.scratch.optimized import winograd
from striate.engines.scratch.threads import ThreadTeam, split_evenly
from striate.nets import NetworkConfig
from striate.recipes import OptimizerConfig

NETWORK = "conv6:batch pool drop0.4 conv5 fc7 drop0.2"
ADAM = OptimizerConfig(name="Adam", lr=0.01)


def learner(threads=1, layers=NETWORK, optimizer=ADAM, **options):
    return Learner(NetworkConfig(layers=layers), (3, 8, 8), 4, 0, optimizer, threads=threads, **options)


def batch(seed, count=9):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, 8, 8, 3)).astype("float32"), rng.integers(0, 4, count)


def steps(trained, numbers):
    return [trained.train_step(*batch(number), 0.01) for number in numbers]


@pytest.mark.parametrize("threads", [2, 3, 20])
def test_the_number_of_workers_changes_the_last_bits_alone(threads):
    single, many = learner(dtype="float64"), learner(threads, dtype="float64")
    for (loss, right), (other, also) in zip(steps(single, range(5)), steps(many, range(5)), strict=True):
        assert abs(loss - other) < 1e-9
        assert right == also
    for name, array in single.weights().items():
        np.testing.assert_allclose(many.weights()[name], array, rtol=0, atol=1e-9)
    np.testing.assert_allclose(single.logits(batch(7)[0]), many.logits(batch(7)[0]), atol=1e-9)


# A chain that shares arrays for gradients, relu in place and not, pools before batch norm, blocks with and without a shortcut of
# layers, and a flatten, whose gradient is a view.
ARRANGED = [
    "conv8:batch pool res(conv8:batch conv8) res(conv8 conv9 | conv9k1) pool drop0.2 fc7:batch fc6",
    "res(batch relu conv8 batch relu conv8 | conv8k1) pool pool2s1 conv6g2 gap fc5",
]


@pytest.fixture
def optimized_everywhere(monkeypatch):
    """Small layers take the ways of large ones too."""
    monkeypatch.setattr(winograd, "LEAST_NUMBERS", 1)
    monkeypatch.setattr(winograd, "FILTER_COST", 0)
    monkeypatch.setattr(optimized_layers, "SHARED", 1)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("layers", ARRANGED)
@pytest.mark.usefixtures("optimized_everywhere")
def test_the_optimized_layers_train_as_the_plain_ones(layers, threads):
    plain = learner(layers=layers, dtype="float64", uses_optimized_layers=False)
    optimized = learner(threads, layers=layers, dtype="float64")
    for (loss, correct), (other, also) in zip(steps(plain, range(4)), steps(optimized, range(4)), strict=True):
        assert abs(loss - other) < 1e-9
        assert correct == also
    for name, array in plain.weights().items():
        np.testing.assert_allclose(optimized.weights()[name], array, rtol=0, atol=1e-9, err_msg=name)


@pytest.mark.usefixtures("optimized_everywhere")
def test_arrays_for_gradients_that_are_too_few_are_found(monkeypatch):
    """The blocks of a network may not write into the array that holds the gradient of both their parts."""
    monkeypatch.setattr(
        ForwardContext, "gradient_buffer", lambda self, key, shape, g: self.buffer(("one",), shape, g.dtype)
    )
    with pytest.raises(AssertionError, match="1e-09"):
        test_the_optimized_layers_train_as_the_plain_ones(ARRANGED[0], 1)


@pytest.mark.usefixtures("optimized_everywhere")
def test_direct_convolutions_differ_in_the_last_bits_alone():
    tiled, direct = (learner(layers="conv8 conv8 fc4", convolution=way) for way in ("winograd", "direct"))
    losses = [[loss for loss, _ in steps(trained, range(3))] for trained in (tiled, direct)]
    assert losses[0] != losses[1]
    np.testing.assert_allclose(*losses, rtol=1e-5)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("engine", ["numpy", "array_api_strict"])
def test_a_restored_state_continues_bit_for_bit(threads, engine):
    whole, first = (learner(threads, engine=engine, label_smoothing=0.1) for _ in range(2))
    losses = steps(whole, range(6))
    assert steps(first, range(3)) == losses[:3]
    second = learner(threads, engine=engine, label_smoothing=0.1)
    second.restore(first.state())
    assert steps(second, range(3, 6)) == losses[3:]
    for name, array in whole.weights().items():
        np.testing.assert_array_equal(second.weights()[name], array)


def test_a_restored_learner_without_its_state_would_differ():
    whole, other = learner(), learner()
    losses = steps(whole, range(4))
    other.load(learner().weights())
    assert steps(other, range(2, 4)) != losses[2:]


def test_two_labels_for_an_image_are_their_shares_of_the_loss():
    images, labels = batch(0)
    others, share = (labels + 1) % 4, np.full(len(labels), 0.25)
    sums = [learner(layers="conv6 fc5").train_step(images, one_label, 0.01)[0] for one_label in (labels, others)]
    mixed = learner(layers="conv6 fc5").train_step(images, labels, 0.01, MixedLabels(others, share))[0]
    assert np.isclose(mixed, 0.25 * sums[0] + 0.75 * sums[1], rtol=1e-5)


def test_it_learns():
    trained = learner(2, layers="conv8 pool fc16")
    images, labels = batch(0, 32)
    losses = [trained.train_step(images, labels, 0.01)[0] for _ in range(40)]
    assert losses[-1] < 0.2 * losses[0]
    assert (trained.logits(images).argmax(1) == labels).mean() > 0.9


def test_an_error_of_one_worker_is_raised_and_the_team_still_works():
    team = ThreadTeam(3)

    def work(part):
        if part == 1:
            raise KeyError("planted")
        return team.all_reduce(part, np.array(part))

    with pytest.raises(KeyError, match="planted"):
        team.run(work, 3)
    assert team.run(lambda part: float(team.all_reduce(part, np.array(part))), 3) == [3.0, 3.0, 3.0]


def test_shares_are_as_equal_as_can_be():
    for count in range(1, 12):
        for size in range(1, 6):
            lengths = [part.stop - part.start for part in split_evenly(count, size)]
            assert sum(lengths) == count
            assert len(lengths) == min(count, size)
            assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize(
    ("network", "problem"),
    [
        ({"layers": "conv4 pool", "dims": 3}, "3D conv (network.dims: 3)"),
        ({"torchvision": "alexnet"}, "alexnet of torchvision, which is a PyTorch module"),
        ({"import": "mine:made"}, "mine:made, which is a PyTorch module"),
    ],
)
def test_what_only_torch_has_is_refused_by_name(network, problem):
    message = f"recipe.engine: numpy has no {problem}; use the PyTorch engine (recipe.engine=torch)"
    with pytest.raises(NetworkError, match=f"^{re.escape(message)}$"):
        Learner(NetworkConfig.model_validate(network), (3, 8, 8), 4, 0, ADAM)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "Adan"}, "recipe.optimizer.name: the engine from scratch has no 'Adan'; did you mean 'Adam'?"),
        ({"name": "Adagrad"}, "recipe.optimizer.name: the engine from scratch has no 'Adagrad'"),
        ({"name": "SGD", "momentun": 0.9}, "recipe.optimizer.momentun: SGD from scratch has no such argument; did you mean 'momentum'?"),
        ({"name": "SGD", "momentum": -1.0}, "recipe.optimizer.momentum: SGD refuses"),
        ({"name": "SGD", "nesterov": True}, "recipe.optimizer: SGD refuses"),
        ({"name": "Adam", "betas": [2.0, 0.9]}, "recipe.optimizer.betas: Adam refuses"),
    ],
)  # fmt: skip
def test_an_unknown_optimizer_or_argument_is_refused_by_name(config, message):
    with pytest.raises(RecipeError, match="^" + re.escape(message)):
        learner(optimizer=OptimizerConfig.model_validate(config))


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "Adadelta", "RMSprop"])
def test_the_defaults_are_torch_s(name):
    import torch

    from striate.engines.scratch.optimizers import OPTIMIZERS

    theirs = getattr(torch.optim, name)([torch.nn.Parameter(torch.zeros(1))]).defaults
    ours = OPTIMIZERS[name]().model_dump()
    assert ours == {key: theirs[key] for key in ours}
