"""A module's weights in a file and back: safetensors, or torch's own format read without running code."""

import pickle
from collections import OrderedDict
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from striate.core.config import suggest
from striate.core.errors import NetworkError


def save(module: nn.Module, path: Path) -> None:
    """Write every parameter and buffer under its name, as safetensors."""
    # Cloned: tensors that share memory (tied weights) are two tensors in the file.
    save_file({name: tensor.detach().cpu().contiguous().clone() for name, tensor in module.state_dict().items()}, path)


def load(module: nn.Module, path: Path) -> None:
    """Put the weights of a file into `module`.

    Raises:
        NetworkError: for a file that cannot be read, or that has other names or shapes.
    """
    put(module, read(path), str(path))


def read(path: Path) -> Mapping[str, Tensor]:
    """The tensors of a file by name: .safetensors, or what torch.save wrote of a state_dict.

    Raises:
        NetworkError: for a file that does not exist or is something else.
    """
    if not path.is_file():
        raise NetworkError(f"{path}: there is no such file of weights")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, OSError, RuntimeError, EOFError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise NetworkError(f"{path}: cannot be read as weights ({reason})") from error
    if not isinstance(tensors, dict) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise NetworkError(f"{path}: holds no weights by name; save module.state_dict(), or use safetensors")
    return tensors


def check(module: nn.Module, tensors: Mapping[str, Tensor], source: str, skip: AbstractSet[str] = frozenset()) -> None:
    """Refuse tensors whose names or shapes are not those of `module`; those named in `skip` may be missing or different.

    Raises:
        NetworkError: naming `source` and the first tensor that does not fit.
    """
    own = module.state_dict()
    # Files from before batch norms counted their batches are still published; torch starts the count at 0 for them.
    counts = {name for name in own if name.endswith(".num_batches_tracked")}
    for name in sorted(own.keys() - tensors.keys() - skip - counts):
        raise NetworkError(f"{source}: has no '{name}', which the network has; {suggest(name, tensors)}")
    for name, tensor in tensors.items():
        if name in skip:
            continue
        if name not in own:
            raise NetworkError(f"{source}: holds '{name}', which the network has not; {suggest(name, own)}")
        if tensor.shape != own[name].shape:
            shapes = f"{tuple(tensor.shape)}, and the network's is {tuple(own[name].shape)}"
            raise NetworkError(f"{source}: '{name}' is {shapes}; is it the file of another network?")


def put(module: nn.Module, tensors: Mapping[str, Tensor], source: str, skip: AbstractSet[str] = frozenset()) -> None:
    """Put tensors into `module` by name, all of them and no others, except those named in `skip`.

    Raises:
        NetworkError: naming `source` and the first tensor that does not fit.
    """
    check(module, tensors, source, skip)
    loaded = OrderedDict((name, tensor) for name, tensor in tensors.items() if name not in skip)
    # The versions of the layers: some modules refuse weights without them, and safetensors has no place for them.
    versions = getattr(tensors, "_metadata", None) or module.state_dict()._metadata  # type: ignore[attr-defined]
    loaded._metadata = versions  # type: ignore[attr-defined]
    module.load_state_dict(loaded, strict=False)
