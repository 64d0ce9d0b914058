"""Optimizers without torch's compiler compute what torch's compute."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from striate.engines.pytorch.optimizers import supported
from striate.engines.pytorch.uncompiled import uncompiled

IMPORTS = """
import sys
import torch
from striate.engines.pytorch.optimizers import build
from striate.recipes import OptimizerConfig
weight = torch.nn.Parameter(torch.ones(2, 2))
weight.grad = torch.ones(2, 2)
for name in ("Adam", "SGD", "RMSprop", "Muon"):
    optimizer = build(OptimizerConfig(name=name, lr=0.1), [weight])
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
    optimizer.zero_grad(set_to_none=False)
    assert "torch._dynamo" not in sys.modules, name
torch.optim.SGD([weight], lr=0.1).step()
assert "torch._dynamo" in sys.modules, "torch does not import it any more, and nothing here is needed"
"""


def weights_after(kind: type[torch.optim.Optimizer]) -> list[torch.Tensor]:
    torch.manual_seed(0)
    module = nn.Linear(4, 3, bias=not issubclass(kind, torch.optim.Muon))
    optimizer = kind(module.parameters())
    for _ in range(5):
        module(torch.randn(8, 4)).square().sum().backward()
        optimizer.step()
        optimizer.load_state_dict(optimizer.state_dict())
        optimizer.zero_grad()
    return [parameter.detach() for parameter in module.parameters()]


@pytest.mark.parametrize("kind", supported().values(), ids=lambda kind: kind.__name__)
def test_the_weights_are_those_of_torch_s_optimizer(kind):
    ours = weights_after(uncompiled(kind))
    torch.testing.assert_close(ours, weights_after(kind), rtol=0, atol=0)
    assert not any(weight.isnan().any() for weight in ours)


def test_the_name_and_the_kind_stay():
    kind = uncompiled(torch.optim.AdamW)
    assert kind.__name__ == "AdamW"
    assert issubclass(kind, torch.optim.AdamW)


def test_building_stepping_saving_and_loading_leave_the_compiler_out():
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
