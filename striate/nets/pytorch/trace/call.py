"""One recorded call of a torch function, and what is known about its effect. No torch here: tensors are known by their shape."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from striate.nets.graph.graph import Certainty, Op, Windows
from striate.nets.layers import Shape
from striate.nets.pytorch.trace.axes import Layout, guess_layout, image_layout


def words(text: str) -> frozenset[str]:
    """The words of `text`."""
    return frozenset(text.split())


# Functions that move values to positions that other values decide.
DATA_DEPENDENT = words(
    "nonzero masked_select masked_scatter gather scatter scatter_add index_select index_put take take_along_dim topk sort "
    "argsort unique searchsorted embedding grid_sample bincount multinomial bernoulli"
)

# Functions of a tensor that return a plain value without reading the tensor's own values.
METADATA = words(
    "size dim ndimension nelement numel stride storage_offset element_size is_contiguous is_floating_point is_complex "
    "is_signed is_inference is_pinned is_shared is_same_size is_conj is_neg is_sparse is_nonzero_static get_device data_ptr "
    "untyped_storage len repr format hash dir type has_names register_hook requires_grad shape dtype device ndim layout "
    "is_cuda is_cpu is_mps is_meta is_nested is_leaf is_quantized is_mkldnn names grad grad_fn itemsize nbytes result_type "
    "is_tensor can_cast promote_types output_nr version retains_grad assert"
)


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call of a function; `inputs` are the tensors that come from the image, with their layouts."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: tuple[Any, ...]
    layouts: tuple[Layout, ...]
    result: Any
    axes: int  # of the image

    def argument(self, name: str, position: int, default: Any = None) -> Any:
        """The argument called `name`, or the one at `position`."""
        return self.kwargs.get(name, self.args[position] if position < len(self.args) else default)

    @property
    def layout(self) -> Layout:
        """Of the first input."""
        return self.layouts[0]

    @property
    def has_one_map(self) -> bool:
        """Whether the input is one map, in torch's own order."""
        return self.layouts == (image_layout(self.axes),)

    @property
    def sides(self) -> Shape:
        """The spatial sides of the first input, where that is a map."""
        return tuple(self.inputs[0].shape[2:])


@dataclass(frozen=True, kw_only=True)
class Operation:
    """The fields of a graph's node that a call decides."""

    op: Op
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    padding: tuple[tuple[int, int], ...] = ()
    windows: tuple[Windows, ...] = ()
    groups: int = 1
    whole: bool = False
    certainty: Certainty = "exact"


@dataclass(frozen=True)
class Effect:
    """The layout of the result and the operation; without an operation it is the same node under another layout."""

    layout: Layout
    operation: Operation | None = None


Reader = Callable[[Call], Effect]


def unknown(call: Call, op: Op = "other") -> Effect:
    """The effect of a call that is not understood: every value may depend on everything."""
    certainty: Certainty = "depends on the data" if call.name in DATA_DEPENDENT else "upper bound"
    return Effect(guess_layout(call.result.shape, call.axes), Operation(op=op, whole=True, certainty=certainty))


def one_per_axis(axes: int, value: int | tuple[int, ...]) -> tuple[int, ...]:
    """One entry for each axis."""
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * axes if len(values) == 1 else values


def both_sides(padding: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """The same padding before and after, for each axis."""
    return tuple((side, side) for side in padding)
