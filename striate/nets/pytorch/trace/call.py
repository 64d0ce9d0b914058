"""One watched call of a torch function, and what is read from it. No torch here: tensors are known by their shape."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from striate.nets.graph.graph import Shape
from striate.nets.pytorch.trace import axes as lay
from striate.nets.pytorch.trace.axes import Layout


def words(text: str) -> frozenset[str]:
    """The words of `text`."""
    return frozenset(text.split())


# What moves values to places that other values decide.
DATA = words(
    "nonzero masked_select masked_scatter gather scatter scatter_add index_select index_put take take_along_dim topk sort "
    "argsort unique searchsorted embedding grid_sample bincount multinomial bernoulli"
)


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call that was watched: `inputs` are the tensors that come from the image, with their layouts."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: tuple[Any, ...]
    layouts: tuple[Layout, ...]
    result: Any
    axes: int  # of the image

    def given(self, name: str, place: int, default: Any = None) -> Any:
        """The argument called `name`, or at `place`."""
        return self.kwargs.get(name, self.args[place] if place < len(self.args) else default)

    @property
    def layout(self) -> Layout:
        return self.layouts[0]

    @property
    def is_image(self) -> bool:
        """One map in, in torch's own order."""
        return self.layouts == (lay.image(self.axes),)

    @property
    def sides(self) -> Shape:
        return tuple(self.inputs[0].shape[2:])


@dataclass(frozen=True)
class Step:
    """The layout of what came out, and the fields of the node; no fields: it is the same node under another layout."""

    layout: Layout
    fields: dict[str, Any] = field(default_factory=dict)


Reader = Callable[[Call], Step]


def unknown(call: Call) -> Step:
    """Anything may depend on anything."""
    certainty = "depends on the data" if call.name in DATA else "upper bound"
    return Step(lay.guess(call.result.shape, call.axes), {"op": "other", "whole": True, "certainty": certainty})


def each(axes: int, value: Any) -> tuple[int, ...]:
    """One entry for each axis."""
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * axes if len(values) == 1 else values


def both(padding: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    return tuple((side, side) for side in padding)
