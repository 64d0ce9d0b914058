"""Which parameters a study file freezes, decided by their names: the same for every engine. No torch here."""

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet

from striate.core.config import suggest
from striate.core.errors import NetworkError
from striate.nets.layers import Activate, Normalize
from striate.nets.resolved import ResolvedLayer


def frozen_parameters(freeze: str, layers: Sequence[ResolvedLayer]) -> set[str]:
    """The names of the parameters of a network of the notation that do not learn.

    Raises:
        NetworkError: for a layer that the network does not have, or when nothing would be left to learn.
    """
    names = list(parameter_names(layers))
    with_parameters = dict.fromkeys(parent for name in names for parent in _parents(name))
    head = {f"{layers[-1].name}.weight", f"{layers[-1].name}.bias"}
    return frozen_names(freeze, names, list(with_parameters), head)


def frozen_names(freeze: str, names: Sequence[str], layers: Sequence[str], head: AbstractSet[str]) -> set[str]:
    """Those of the parameters `names`, in the network's order, that do not learn.

    `freeze` is none, all-but-head (the parameters in `head` learn) or "up-to LAYER"; `layers` are the names that LAYER can be.

    Raises:
        NetworkError: for a layer that is not among `layers`, or when nothing would be left to learn.
    """
    frozen = _select(freeze, names, layers, head)
    if names and len(frozen) == len(names):
        raise NetworkError(f"freeze: '{freeze}' leaves nothing to learn; name an earlier layer")
    return frozen


def parameter_names(layers: Iterable[ResolvedLayer]) -> Iterator[str]:
    """The names of all parameters as the built module has them, in its order."""
    for layer in layers:
        if layer.body:
            yield from parameter_names(layer.body)
            yield from parameter_names(layer.shortcut)
            continue
        own = [f"{layer.name}.weight"] * bool(layer.weights) + [f"{layer.name}.bias"] * bool(layer.biases)
        yield from own
        if layer.norm_parameters:
            yield from (f"{norm_name(layer)}.weight", f"{norm_name(layer)}.bias")


def norm_name(layer: ResolvedLayer) -> str:
    """The name that the norm of a layer has in the built module."""
    return layer.name if isinstance(layer.layer, Normalize | Activate) else f"{layer.name}_norm"


def _select(freeze: str, names: Sequence[str], layers: Sequence[str], head: AbstractSet[str]) -> set[str]:
    if freeze == "none":
        return set()
    if freeze == "all-but-head":
        return set(names) - head
    layer = freeze.removeprefix("up-to").strip()
    inside = [index for index, name in enumerate(names) if name == layer or name.startswith(f"{layer}.")]
    if not inside:
        raise NetworkError(f"freeze: no layer '{layer}' with parameters; {suggest(layer, layers)}")
    return set(names[: inside[-1] + 1])


def _parents(name: str) -> Iterator[str]:
    """The layers that hold the parameter `name`, outermost first."""
    parts = name.split(".")
    yield from (".".join(parts[:end]) for end in range(1, len(parts)))
