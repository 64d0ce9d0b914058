"""Which parameters a study file freezes, by their names alone: the same for every engine. No torch here."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from striate.core.config import suggest
from striate.core.errors import NetworkError


def frozen_names(what: str, names: Sequence[str], layers: Sequence[str], head: AbstractSet[str]) -> set[str]:
    """Those of the parameters `names`, in the network's order, that do not learn: `what` is none, all-but-head or "up-to LAYER".

    Raises:
        NetworkError: for a layer that is not among `layers`, or when nothing would be left to learn.
    """
    frozen = _named(what, names, layers, head)
    if names and len(frozen) == len(names):
        raise NetworkError(f"freeze: '{what}' leaves nothing to learn; name an earlier layer")
    return frozen


def _named(what: str, names: Sequence[str], layers: Sequence[str], head: AbstractSet[str]) -> set[str]:
    if what == "none":
        return set()
    if what == "all-but-head":
        return set(names) - head
    layer = what.removeprefix("up-to").strip()
    inside = [index for index, name in enumerate(names) if name == layer or name.startswith(f"{layer}.")]
    if not inside:
        raise NetworkError(f"freeze: no layer '{layer}' with parameters; {suggest(layer, layers)}")
    return set(names[: inside[-1] + 1])
