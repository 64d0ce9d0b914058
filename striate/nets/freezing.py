"""Which parameters of a module learn.

A frozen layer does not change in any way: its norms keep their running means too, in training as in evaluation.
"""

from collections.abc import Set
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from striate.core.config import suggest
from striate.core.errors import NetworkError


def freeze(module: nn.Module, what: str, head: Set[str]) -> None:
    """Freeze what a study file names: none, all-but-head (the parameters in `head` learn), or "up-to LAYER".

    Raises:
        NetworkError: for a layer that is not there, or when nothing would be left to learn.
    """
    names = [name for name, _ in module.named_parameters()]
    frozen = _named(module, names, what, head)
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name not in frozen)
    if names and len(frozen) == len(names):
        raise NetworkError(f"freeze: '{what}' leaves nothing to learn; name an earlier layer")
    for part in module.modules():
        own = list(part.parameters(recurse=False))
        if isinstance(part, _NormBase) and own and not any(parameter.requires_grad for parameter in own):
            part.register_forward_pre_hook(_as_in_evaluation)


def learning(module: nn.Module) -> list[nn.Parameter]:
    """The parameters that are not frozen: what an optimizer is given."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def _named(module: nn.Module, names: list[str], what: str, head: Set[str]) -> set[str]:
    if what == "none":
        return set()
    if what == "all-but-head":
        return set(names) - head
    layer = what.removeprefix("up-to").strip()
    inside = [index for index, name in enumerate(names) if name == layer or name.startswith(f"{layer}.")]
    if not inside:
        known = [name for name, part in module.named_modules() if name and list(part.parameters())]
        raise NetworkError(f"freeze: no layer '{layer}' with parameters; {suggest(layer, known)}")
    return set(names[: inside[-1] + 1])


def _as_in_evaluation(part: nn.Module, inputs: Any) -> None:
    del inputs
    part.training = False
