"""A network of 60 numbers, small enough to differentiate by hand, with its rectifiers written in every way that there is.

conv 1->2, 3x3, all weights 1, biases -50 and -75; rectifier; flatten to 8; linear 8->4, each row (1,1,1,1,1,-1,-1,-1), biases 0;
rectifier. The image is 0 to 15 as 4x4. Its convolution gives [[-5, 4], [31, 40]] and [[-30, -21], [6, 15]], so the output is
4 + 31 + 40 - 6 - 15 = 54 for each of the four classes.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

IMAGE = torch.arange(16.0).reshape(1, 4, 4)


class Small(nn.Module):
    """`rectify` is called once after each of the two layers, with the name that its module would have."""

    def __init__(self, rectify):
        super().__init__()
        self.conv1, self.fc1 = nn.Conv2d(1, 2, 3), nn.Linear(8, 4)
        if isinstance(rectify, nn.Module):
            self.relu = rectify  # one module, used twice
            self.rectify = lambda x, name: self.relu(x)
        else:
            self.rectify = rectify
        with torch.no_grad():
            self.conv1.weight.fill_(1)
            self.conv1.bias.copy_(torch.tensor([-50.0, -75.0]))
            self.fc1.weight.copy_(torch.tensor([1.0, 1, 1, 1, 1, -1, -1, -1]).expand(4, 8))
            self.fc1.bias.zero_()

    def forward(self, x):
        x = self.rectify(self.conv1(x), "relu1")
        return self.rectify(self.fc1(x.flatten(1)), "relu2")


class TwoModules(Small):
    def __init__(self, inplace=False):
        super().__init__(lambda x, name: getattr(self, name)(x))
        self.relu1, self.relu2 = nn.ReLU(inplace), nn.ReLU(inplace)


def keeps_the_name(x):
    """In place, and what comes next reads the same tensor under its old name."""
    x.relu_()
    return x


FORMS = {
    "modules": TwoModules,
    "in place": lambda: TwoModules(inplace=True),
    "one module twice": lambda: Small(nn.ReLU()),
    "one module in place twice": lambda: Small(nn.ReLU(inplace=True)),
    "F.relu": lambda: Small(lambda x, _: F.relu(x)),
    "F.relu in place": lambda: Small(lambda x, _: F.relu(x, inplace=True)),
    "F.relu_": lambda: Small(lambda x, _: F.relu_(x)),
    "torch.relu": lambda: Small(lambda x, _: torch.relu(x)),
    "method": lambda: Small(lambda x, _: x.relu()),
    "method in place": lambda: Small(lambda x, _: x.relu_()),
    "in place, old name": lambda: Small(lambda x, _: keeps_the_name(x)),
    "clamp": lambda: Small(lambda x, _: x.clamp(min=0)),
    "clamp with a tensor": lambda: Small(lambda x, _: torch.clamp(x, torch.zeros(()))),
    "clamp_ in place": lambda: Small(lambda x, _: torch.clamp_(x, 0)),
    "clip": lambda: Small(lambda x, _: torch.clip(x, 0, 1e9)),
    "clamp_min": lambda: Small(lambda x, _: torch.clamp_min(x, 0)),
    "threshold": lambda: Small(lambda x, _: F.threshold(x, 0, 0)),
    "nn.Threshold": lambda: Small(nn.Threshold(0, 0, inplace=True)),
    "hardtanh": lambda: Small(lambda x, _: F.hardtanh(x, 0, 1e9)),
    "maximum": lambda: Small(lambda x, _: torch.maximum(x, torch.zeros_like(x))),
    "max": lambda: Small(lambda x, _: torch.max(torch.zeros(1), x)),
}
