"""A network is asked on the path that it was traced on: one that takes another path through its layers says so."""

import pytest
import torch
from torch import nn

from striate.core.errors import NetworkError
from striate.explain.traced import OTHER_PATH, TracedNetwork

SHAPE = (1, 4, 4)


class Turning(nn.Module):
    """Dark images take one path, bright ones another."""

    def __init__(self, bright):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 1)
        self.bright = bright

    def forward(self, x):
        y = self.first(x)
        return self.bright(self, y) if float(x.detach().mean()) > 10 else self.second(y).relu()


TURNS = {
    "another function": lambda network, y: y.tanh(),
    "fewer layers": lambda network, y: y,
    "another order": lambda network, y: network.second(y.relu()),
}


@pytest.mark.parametrize("turn", TURNS)
def test_another_path_is_refused(turn):
    network = TracedNetwork(Turning(TURNS[turn]), torch.zeros(1, *SHAPE))
    assert network.values(torch.zeros(2, *SHAPE), ["second"])["second"].shape == (2, 2, 2, 2)
    with pytest.raises(NetworkError, match="took another path through its layers on these images"):
        network.values(torch.full((2, *SHAPE), 20.0), ["second"])
    with pytest.raises(NetworkError, match=OTHER_PATH):
        network.call(torch.full((1, *SHAPE), 20.0), "second")


def test_the_path_before_the_turn_is_the_same():
    network = TracedNetwork(Turning(TURNS["another function"]), torch.zeros(1, *SHAPE))
    assert network.values(torch.full((2, *SHAPE), 20.0), ["first"])["first"].shape == (2, 2, 2, 2)
