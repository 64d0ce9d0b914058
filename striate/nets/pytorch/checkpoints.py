"""Files of weights as people have them: inside a training checkpoint, and with the prefixes of wrappers in their names.

What was left out or stripped is said. Nothing but tensors and plain values is unpickled.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from striate.core.errors import NetworkError
from striate.core.records import printable
from striate.nets.pytorch import weights

# Where training programs put the weights, in the order in which they are looked for.
_KEYS = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "module",
    "weights",
    "params",
    "ema",
)
# What torch.compile puts into names, and what the wrappers for several devices put before them.
_COMPILED, _WRAPPED = "_orig_mod", "module"
_MOST_PREFIXES = 3
_MOST_NAMED = 6


class Checkpoint(NamedTuple):
    """Tensors by name, and what was done to get them."""

    tensors: Mapping[str, Tensor]
    remarks: tuple[str, ...] = ()


def read(path: Path) -> Checkpoint:
    """The weights in a file, also where they are one entry of a checkpoint.

    Raises:
        NetworkError: for a file that does not exist, is no file of weights, or has none.
    """
    content = weights.content(path)
    for keys, found in _places(content):
        tensors = {name: item for name, item in found.items() if isinstance(item, Tensor)}
        if tensors and all(isinstance(name, str) for name in found) and not _has_mappings(found):
            others = [*(content if keys else ()), *found]
            left = [str(name) for name in others if name not in keys and name not in tensors]
            kept = OrderedDict(tensors)
            kept._metadata = getattr(found, "_metadata", None)  # type: ignore[attr-defined]
            where = f"the weights are its '{'.'.join(keys)}'" if keys else "the weights are its tensors"
            beside = f" (left out: {_named(left)})" if left else ""
            return Checkpoint(kept, (f"{path.name}: {where}{beside}",) if keys or left else ())
    entries = list(map(str, content)) if isinstance(content, Mapping) else []
    what = f"its entries are {_named(entries)}" if entries else f"it is a {type(content).__name__}"
    raise NetworkError(f"{path}: holds no weights by name ({what}); save module.state_dict(), or use safetensors")


def fitted(checkpoint: Checkpoint, own: Collection[str], source: str) -> Checkpoint:
    """The tensors under the names that the network has, as far as wrappers and a common prefix explain the difference."""
    names = list(checkpoint.tensors)
    best, stripped = {name: name for name in names}, ""
    for renamed, prefix in _renamings(names):
        is_one_to_one = len(set(renamed.values())) == len(names)
        if is_one_to_one and _matches(renamed, own) > _matches(best, own):
            best, stripped = renamed, prefix
    if not stripped:
        return checkpoint
    tensors = OrderedDict((best[name], tensor) for name, tensor in checkpoint.tensors.items())
    remark = f"{source}: {stripped} stripped from the names of its weights"
    if "n_averaged" in tensors and "n_averaged" not in own:  # of torch's AveragedModel: how many weights its mean is of
        del tensors["n_averaged"]
        remark += ", and 'n_averaged' left out"
    versions = getattr(checkpoint.tensors, "_metadata", None)
    if versions:
        known = {name.rpartition(".")[0]: new.rpartition(".")[0] for name, new in best.items()}
        versions = {known.get(layer, layer): version for layer, version in versions.items()}
    tensors._metadata = versions  # type: ignore[attr-defined]
    return Checkpoint(tensors, (*checkpoint.remarks, remark))


def _places(content: Any) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """The mappings in which weights may be, with the keys that lead there: the whole, the usual entries, then any other."""
    if not isinstance(content, Mapping):
        return
    inner = [key for key in _KEYS if isinstance(content.get(key), Mapping)]
    inner += [key for key, item in content.items() if isinstance(item, Mapping) and key not in inner]
    if not inner:
        yield (), content
    for key in inner:
        for keys, found in _places(content[key]):
            yield (str(key), *keys), found


def _has_mappings(found: Mapping[str, Any]) -> bool:
    return any(isinstance(item, Mapping) for item in found.values())


def _renamings(names: list[str]) -> Iterator[tuple[dict[str, str], str]]:
    """Other names for all of `names`, and in words what is stripped from them, from the least to the most."""
    plain = {name: _unwrapped(name) for name in names}
    words = [f"'{part}.'" for part in (_WRAPPED, _COMPILED) if any(part in name.split(".") for name in names)]
    if plain != {name: name for name in names}:
        yield plain, f"{' and '.join(words)} {'were' if len(words) > 1 else 'was'}"
    prefix = ""
    for _ in range(_MOST_PREFIXES):
        first = {name.partition(".")[0] for name in plain.values() if name != "n_averaged"}
        if len(first) != 1 or any("." not in name for name in plain.values() if name != "n_averaged"):
            return
        prefix += f"{first.pop()}."
        plain = {name: new.partition(".")[2] if new != "n_averaged" else new for name, new in plain.items()}
        yield dict(plain), f"'{prefix}' was"


def _unwrapped(name: str) -> str:
    parts = [part for part in name.split(".") if part != _COMPILED]
    while len(parts) > 1 and parts[0] == _WRAPPED:
        parts = parts[1:]
    return ".".join(parts)


def _matches(renamed: Mapping[str, str], own: Collection[str]) -> int:
    return sum(name in own for name in renamed.values())


def _named(names: list[str]) -> str:
    listed = ", ".join(printable(name[:40], keep="") for name in names[:_MOST_NAMED])
    return f"{listed} and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else listed
