"""Freezing parameters of a torch module.

A frozen layer does not change in any way: its norms keep their running means too, in training as in evaluation.
"""

from collections.abc import Set as AbstractSet
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from striate.nets.freezing import frozen_names


def freeze(module: nn.Module, what: str, head: AbstractSet[str]) -> None:
    """Freeze `what`: none, all-but-head (the parameters in `head` learn), or "up-to LAYER".

    Raises:
        NetworkError: for a layer that does not exist, or when nothing would be left to learn.
    """
    names = [name for name, _ in module.named_parameters()]
    layers = [name for name, part in module.named_modules() if name and list(part.parameters())]
    frozen = frozen_names(what, names, layers, head)
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name not in frozen)
    for part in module.modules():
        own = list(part.parameters(recurse=False))
        if isinstance(part, _NormBase) and own and not any(parameter.requires_grad for parameter in own):
            part.register_forward_pre_hook(_set_evaluation_mode)


def learning(module: nn.Module) -> list[nn.Parameter]:
    """The parameters that are not frozen: those that an optimizer gets."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def _set_evaluation_mode(part: nn.Module, inputs: Any) -> None:
    del inputs
    part.training = False
