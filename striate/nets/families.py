"""Families: a network from a few numbers, so that a grid can cross them. Each returns layers in the notation.

A family's numbers are keys of `NetworkConfig`; `write_family` refuses those that the family does not have.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from striate.core.errors import NetworkError

# Pools follow the second and the last conv layer, as in the final network of the report that the grid is from.
_FIRST_POOL_AFTER = 2
# A skip around one layer is no help against vanishing gradients; from here on a block counts as deep.
_DEEP = 2


def stack(conv: int = 2, fc: int = 1, step: int = 100) -> str:
    """`conv` conv layers of step, 2 step, 3 step, ... filters; `fc` fc layers likewise, the last is the classifier.

    A 2x2 max pool follows the second conv layer and the last.
    """
    words: list[str] = []
    for number in range(1, conv + 1):
        words.append(f"conv{number * step}")
        if number in {_FIRST_POOL_AFTER, conv}:
            words.append("pool")
    return " ".join([*words, *(f"fc{number * step}" for number in range(1, fc))])


def blocks(depth: int = 2, block_depth: int = 2, filters: int = 32, skip: bool = True) -> str:
    """`depth` blocks of `block_depth` conv layers and a 2x2 max pool; the filters double from block to block.

    `skip` adds a block's input to its output, once the block is deep (two conv layers).
    """
    words: list[str] = []
    for number in range(depth):
        convs = " ".join([f"conv{filters * 2**number}"] * block_depth)
        words += [f"res({convs})" if skip and block_depth >= _DEEP else convs, "pool"]
    return " ".join(words)


def shallow(filters: int = 16) -> str:
    """One conv layer and no pool; `head` says how its map reaches the classifier, by fc or by gap."""
    return f"conv{filters}"


FAMILIES: dict[str, Callable[..., str]] = {"stack": stack, "blocks": blocks, "shallow": shallow}


def write_family(name: str, numbers: Mapping[str, Any]) -> str:
    """The layers of family `name` with these numbers.

    Raises:
        NetworkError: for a number that the family does not have.
    """
    known = list(inspect.signature(FAMILIES[name]).parameters)
    for key in numbers:
        if key not in known:
            raise NetworkError(f"the family '{name}' has no {key}; its numbers are {', '.join(known)}")
    return FAMILIES[name](**numbers)
