"""A module's weights in a file and back: safetensors, or torch's own format read without running code."""

import pickle
import re
from collections import OrderedDict
from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from striate.core.config import suggest
from striate.core.errors import NetworkError

FEW, MANY = 3, 10  # of the names that do not fit, so many are listed; beyond so many others, as few
# In torch's refusal: what it would have had to import.
_REFUSED = re.compile(r"(?:GLOBAL|Unsupported class) ([\w.]+)")


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
    tensors = content(path)
    if not isinstance(tensors, dict) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise NetworkError(f"{path}: holds no weights by name; save module.state_dict(), or use safetensors")
    return tensors


def content(path: Path) -> Any:
    """What a file holds: the tensors of .safetensors, or what torch.save wrote, as far as that is tensors and plain values.

    Raises:
        NetworkError: for a file that does not exist, is something else, or holds objects, which could run code.
    """
    if not path.is_file():
        raise NetworkError(f"{path}: there is no such file of weights")
    try:
        return (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except (SafetensorError, pickle.UnpicklingError, OSError, RuntimeError, EOFError, ValueError) as error:
        if found := _REFUSED.search(str(error)):
            raise NetworkError(
                f"{path}: holds an object of Python ({found[1]}), and only tensors and plain values are read, because others can run "
                "code; save module.state_dict(), or use safetensors"
            ) from error
        # What torch adds in further sentences is about how files are damaged in general.
        reason = (str(error) or type(error).__name__).splitlines()[0].partition(". ")[0]
        raise NetworkError(f"{path}: cannot be read as weights ({reason}); is it damaged?") from error
    except Exception as error:  # a damaged file, whatever torch makes of it
        raise NetworkError(f"{path}: cannot be read as weights ({type(error).__name__}); is it damaged?") from error


def check(module: nn.Module, tensors: Mapping[str, Tensor], source: str, skip: AbstractSet[str] = frozenset()) -> None:
    """Refuse tensors whose names or shapes are not those of `module`; those named in `skip` may be missing or different.

    Raises:
        NetworkError: naming `source` and the first tensors that do not fit.
    """
    own = module.state_dict()
    # Files from before batch norms counted their batches are still published; torch starts the count at 0 for them.
    counts = {name for name in own if name.endswith(".num_batches_tracked")}
    if missing := sorted(own.keys() - tensors.keys() - skip - counts):
        raise NetworkError(
            f"{source}: has no {_first(missing)}, which the network has; {_instead(missing[0], tensors)}"
        )
    others = [name for name in tensors if name not in skip]
    if unknown := [name for name in others if name not in own]:
        raise NetworkError(f"{source}: holds {_first(unknown)}, which the network has not; {_instead(unknown[0], own)}")
    if unequal := [name for name in others if tensors[name].shape != own[name].shape]:
        shapes = (
            f"'{name}' is {tuple(tensors[name].shape)}, and the network's is {tuple(own[name].shape)}"
            for name in unequal
        )
        more = f"; so are {len(unequal) - FEW} more" if len(unequal) > FEW else ""
        raise NetworkError(f"{source}: {'; '.join(islice(shapes, FEW))}{more}; is it the file of another network?")


def _instead(name: str, names: Collection[str]) -> str:
    """The name that may be meant, or the names that there are: of many a few, because a network has hundreds."""
    words = suggest(name, names)
    if len(names) <= MANY or not words.startswith("known here"):
        return words
    return (
        f"known here: {', '.join(islice(names, FEW))} and {len(names) - FEW} more; is it the file of another network?"
    )


def _first(names: list[str]) -> str:
    """The first of these names, in quotes, and how many more there are."""
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return ", ".join(f"'{name}'" for name in names[:FEW]) + more


def put(module: nn.Module, tensors: Mapping[str, Tensor], source: str, skip: AbstractSet[str] = frozenset()) -> None:
    """Put tensors into `module` by name, all of them and no others, except those named in `skip`.

    Raises:
        NetworkError: naming `source` and the first tensors that do not fit.
    """
    check(module, tensors, source, skip)
    loaded = OrderedDict((name, tensor) for name, tensor in tensors.items() if name not in skip)
    # The versions of the layers: some modules refuse weights without them, and safetensors has no place for them.
    versions = getattr(tensors, "_metadata", None) or module.state_dict()._metadata  # type: ignore[attr-defined]
    loaded._metadata = versions  # type: ignore[attr-defined]
    module.load_state_dict(loaded, strict=False)
