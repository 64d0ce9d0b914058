"""Any torch module as a graph, by running it once on an image.

The run is watched on two levels. Torch's functions and methods are read by name (`traced_ops`), so residual
branches, functional calls, reused modules and in-place operations are all followed. Below them every operator is
seen, whoever called it: one that came from outside those functions (a compiled part) is taken as unknown, so that
no dependence on the image is lost silently. Where the module looks at values (`if x.sum() > 0`, `x.item()`), all
that follows depends on the data.

The module comes back as it was: the training mode of each part, buffers, the random generator, and no hook left,
also when it fails.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from striate.core.errors import NetworkError
from striate.nets.graph.graph import Certainty, Graph, Node, Shape
from striate.nets.pytorch.trace import axes as lay
from striate.nets.pytorch.trace.axes import Layout
from striate.nets.pytorch.trace.call import Call, Step, unknown, words
from striate.nets.pytorch.trace.ops import DROPOUTS, read

# Called with a tensor and answering with a plain value, without looking at the tensor's own values.
_METADATA = words(
    "size dim ndimension nelement numel stride storage_offset element_size is_contiguous is_floating_point is_complex "
    "is_signed is_inference is_pinned is_shared is_same_size is_conj is_neg is_sparse is_nonzero_static get_device data_ptr "
    "untyped_storage len repr format hash dir type has_names register_hook requires_grad shape dtype device ndim layout "
    "is_cuda is_cpu is_mps is_meta is_nested is_leaf is_quantized is_mkldnn names grad grad_fn itemsize nbytes result_type "
    "is_tensor can_cast promote_types output_nr version retains_grad assert"
)


def graph(module: nn.Module, image: Tensor | Shape) -> Graph:
    """The graph of `module` on one image: a tensor of (1, channels, *spatial), or the shape (channels, *spatial).

    Raises:
        NetworkError: when the module cannot run on the image, or answers with something else than one tensor that
            comes from it.
    """
    with _as_it_was(module), torch.no_grad():
        pixels = _image(module, image)
        watch = _Watch(module, pixels)
        with watch.places(), _Operators(watch), watch:
            result = _run(module, pixels, watch)
        return watch.graph(result)


def _run(module: nn.Module, pixels: Tensor, watch: "_Watch") -> Any:
    try:
        return module(pixels)
    except Exception as error:  # whatever a module of the user's raises
        if error is watch.mistake:
            raise
        shape = "x".join(map(str, pixels.shape[1:]))
        raise NetworkError(f"{type(module).__name__} cannot run on an image of {shape}: {error}") from error


def _image(module: nn.Module, image: Tensor | Shape) -> Tensor:
    """The image where the module is, in the module's precision."""
    like = next((p for p in module.parameters() if p.is_floating_point()), torch.empty(0))
    if isinstance(image, Tensor):
        if image.ndim < 3 or image.shape[0] != 1:
            raise NetworkError(f"the image must be (1, channels, *spatial), got {tuple(image.shape)}")
        # A copy: a module may begin with an in-place operation.
        return image.detach().to(like.device, like.dtype, copy=True)
    seeded = torch.Generator().manual_seed(0)
    return torch.rand((1, *image), generator=seeded).to(like.device, like.dtype)


@contextmanager
def _as_it_was(module: nn.Module) -> Iterator[None]:
    """Evaluation inside, and afterwards everything that a forward pass may touch as before."""
    modes = {part: part.training for part in module.modules()}
    # Which buffers there are, and what is in them: a module may write into one or put another in its place.
    held = {part: dict(part._buffers) for part in module.modules()}
    values = {buffer: buffer.clone() for buffer in module.buffers()}
    try:
        with torch.random.fork_rng(devices=[]):
            module.eval()
            yield
    finally:
        for part, mode in modes.items():
            part.training = mode
            part._buffers.clear()
            part._buffers.update(held[part])
        with torch.no_grad():
            for buffer, before in values.items():
                buffer.copy_(before)


@dataclass(frozen=True)
class _Value:
    """A tensor that comes from the image: the node that made it, and which of its axes is which."""

    tensor: Tensor  # kept, so that its id is not given to another
    node: str
    layout: Layout


class _Operators(TorchDispatchMode):
    """Sees every operator: counts multiplications inside a watched call, and hands over what no call explains."""

    def __init__(self, watch: "_Watch") -> None:
        super().__init__()
        self._watch = watch

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func._overloadpacket in flop_registry:
            self._watch.products += flop_registry[func._overloadpacket](*args, **(kwargs or {}), out_val=result) // 2
        if not self._watch.inside:
            self._watch.note(func._overloadpacket.__name__, args, kwargs or {}, result, known=False)
        return result


class _Watch(TorchFunctionMode):
    """The nodes of a run, as they happen."""

    def __init__(self, module: nn.Module, pixels: Tensor) -> None:
        super().__init__()
        self.inside, self.products = False, 0
        self.mistake: Exception | None = None  # one of ours, which is not to be called the module's
        self._module, self._axes = module, pixels.ndim - 2
        self._paths = {part: path for path, part in module.named_modules()}
        self._parameters = {id(parameter): parameter for parameter in module.parameters()}
        self._stack: list[nn.Module] = []
        self._times = Counter({"input": 1})
        self._rows: set[str] = set()
        self._uncounted = set(self._parameters)
        self._made_of: dict[int, tuple[Tensor, frozenset[int]]] = {}
        shape = tuple(pixels.shape[1:])
        self._nodes = {"input": Node(name="input", op="input", output_shape=shape, layer="input")}
        self._values: dict[int, _Value] = {}
        self._written: dict[int, str] = {}  # which node wrote last to a piece of memory
        self._keep(pixels, "input", lay.image(self._axes))
        self._looked = False

    @contextmanager
    def places(self) -> Iterator[None]:
        """Knows which module is at work. Global hooks: the modules' own lists of hooks are not touched."""
        enter = register_module_forward_pre_hook(
            lambda part, _: self._stack.append(part) if part in self._paths else None
        )
        leave = register_module_forward_hook(lambda part, *_: self._left(part), always_call=True)
        try:
            yield
        finally:
            enter.remove()
            leave.remove()

    def _left(self, part: nn.Module) -> None:
        if part in self._paths:
            self._stack.pop()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.inside, self.products = True, 0
        try:
            result = func(*args, **(kwargs or {}))
        finally:
            self.inside = False
        self.note(_name(func), args, kwargs or {}, result)
        return result

    def note(self, name: str, args: Any, kwargs: dict[str, Any], result: Any, known: bool = True) -> None:
        """A call that has happened."""
        try:
            self._note(name, args, kwargs, result, known)
        except Exception as error:
            self.mistake = error
            raise

    def _note(self, name: str, args: Any, kwargs: dict[str, Any], result: Any, known: bool) -> None:
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        values = [value for tensor in given if (value := self._value(tensor))]
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        if name == "setitem":
            made = [args[0]]
        if not values:
            self._note_constants(given, made)
        elif not made:
            self._looked = self._looked or name not in _METADATA
        else:
            for tensor in made:
                call = _call(name, args, kwargs, values, tensor, self._axes)
                self._add(call, read(call) if known and name != "setitem" else unknown(call), values, given)
                # The parameters and products of one call are counted with its first result.
                given, self.products = [], 0

    def _value(self, tensor: Tensor) -> _Value | None:
        """What is known of `tensor`, if it comes from the image."""
        if id(tensor) not in self._values and (node := self._written.get(_memory(tensor))):
            # A view made before something from the image was written into its memory.
            self._change(tensor, lay.UNKNOWN, (node,))
        return self._values.get(id(tensor))

    def _keep(self, tensor: Tensor, node: str, layout: Layout) -> None:
        self._values[id(tensor)] = _Value(tensor, node, layout)
        if _memory(tensor):
            self._written[_memory(tensor)] = node

    def _note_constants(self, given: Sequence[Tensor], made: Sequence[Tensor]) -> None:
        """Tensors computed from parameters only: a node that reads them owns the parameters."""
        sources = frozenset().union(*(self._sources(tensor) for tensor in given))
        for tensor in made:
            self._made_of[id(tensor)] = (tensor, self._sources(tensor) | sources)

    def _sources(self, tensor: Tensor) -> frozenset[int]:
        own = frozenset({id(tensor)} & self._parameters.keys())
        return own | (self._made_of[id(tensor)][1] if id(tensor) in self._made_of else frozenset())

    def _add(self, call: Call, step: Step, values: Sequence[_Value], given: Sequence[Tensor]) -> None:
        result = call.result
        if not step.fields:
            self._keep(result, values[0].node, step.layout)
            return
        certainty = self._doubt(step.fields.get("certainty", "exact"))
        fields = {**step.fields, "certainty": certainty, **self._own(call, step.fields["op"], given)}
        name, layer = self._named(call.name, step.fields["op"], values[0].node)
        shape = lay.shape_of(step.layout, result.shape)
        inputs = tuple(value.node for value in values)
        self._nodes[name] = Node(name=name, layer=layer, inputs=inputs, output_shape=shape, **fields)
        in_place = any(result is value.tensor for value in values) and call.name not in DROPOUTS
        self._keep(result, name, step.layout)
        if in_place:
            self._spoil_views(result, name)

    def _spoil_views(self, changed: Tensor, node: str) -> None:
        """Other tensors in the same memory have changed too, and nobody said where."""
        for value in list(self._values.values()):
            if value.tensor is not changed and _memory(value.tensor) == _memory(changed):
                self._change(value.tensor, value.layout, (value.node, node))

    def _change(self, tensor: Tensor, layout: Layout, inputs: tuple[str, ...]) -> None:
        """From here on `tensor` may depend on all that `inputs` do."""
        name, shape = self._unique("changed"), lay.shape_of(layout, tensor.shape)
        doubt = self._doubt("upper bound")
        self._nodes[name] = Node(
            name=name, op="other", layer=name, inputs=inputs, output_shape=shape, whole=True, certainty=doubt
        )
        self._keep(tensor, name, layout or lay.guess(tensor.shape, self._axes))

    def _doubt(self, certainty: Certainty) -> Certainty:
        return "depends on the data" if self._looked else certainty

    def _own(self, call: Call, op: str, given: Sequence[Tensor]) -> dict[str, Any]:
        """What the call multiplies by, and the parameters that no earlier node has counted."""
        owned = [tensor for tensor in given if self._sources(tensor)]
        if op in ("conv", "fc"):
            weight, bias = call.given("weight", 1), call.given("bias", 2)
        else:
            weight, bias = owned[0] if owned else None, owned[1] if len(owned) > 1 and op == "norm" else None
        counts = {True: 0, False: 0}
        for tensor in owned:
            fresh = self._sources(tensor) & self._uncounted
            self._uncounted -= fresh
            counts[tensor is bias] += sum(self._parameters[key].numel() for key in fresh)
        return {
            "weights": counts[False],
            "biases": counts[True],
            "weight_shape": tuple(weight.shape) if weight is not None else (),
            "products": 0 if op in ("conv", "fc") else self.products,
        }

    def _named(self, function: str, op: str, before: str) -> tuple[str, str]:
        """The name of a new node, and the row that it belongs to."""
        at = self._stack[-1] if self._stack else self._module
        path = self._paths[at]
        # A module of torch's own is one operation; only a convolution pads first.
        parts = {name for name, _ in at.named_children()} - {"parametrizations"}
        single = bool(path) and type(at).__module__.startswith("torch.nn.") and not parts
        inner = f"{path}.{function}" if path else function
        name = self._unique(f"{path}.pad" if single and op == "pad" else path if single else inner)
        if before != "input" and self._follows(op, path, self._nodes[before]):
            return name, self._nodes[before].layer
        # What a block of modules does for itself (an add) is the block's row.
        row = path if path and path not in self._rows and (not single or op == "pad") else name
        self._rows.add(row if row != path or op != "pad" else "")
        return name, row

    def _follows(self, op: str, path: str, before: Node) -> bool:
        """Whether a node belongs to the row of the one that it reads."""
        after = before.op in ("conv", "fc", "activation") or path.startswith(f"{before.layer}.")
        return op == "activation" or (op == "norm" and after)

    def _unique(self, name: str) -> str:
        self._times[name] += 1
        return name if self._times[name] == 1 else f"{name}#{self._times[name]}"

    def graph(self, result: Any) -> Graph:
        """The graph of what was noted; `result` is what the module answered."""
        kind = type(self._module).__name__
        if not isinstance(result, Tensor):
            raise NetworkError(f"{kind} must answer with one tensor, got {type(result).__name__}")
        if (value := self._value(result)) is None:
            raise NetworkError(f"the answer of {kind} does not come from the image by operations of torch")
        output = value.node
        kept = self._reaching(output)
        nodes = tuple(node for name, node in self._nodes.items() if name in kept)
        unused = sum(self._parameters[key].numel() for key in self._uncounted)
        return Graph(nodes=nodes, output=output, unused_parameters=unused)

    def _reaching(self, output: str) -> set[str]:
        """Nodes that the answer, or a node with parameters, is made of."""
        kept = {"input", output} | {name for name, node in self._nodes.items() if node.parameters}
        for name in reversed(self._nodes):
            if name in kept:
                kept.update(self._nodes[name].inputs)
        return kept


def _call(name: str, args: Any, kwargs: Any, values: Sequence[_Value], result: Tensor, axes: int) -> Call:
    return Call(
        name=name,
        args=tuple(args),
        kwargs=kwargs,
        inputs=tuple(value.tensor for value in values),
        layouts=tuple(value.layout for value in values),
        result=result,
        axes=axes,
    )


def _memory(tensor: Tensor) -> int:
    """The address of what `tensor` views; 0 where there is none."""
    return tensor.untyped_storage().data_ptr() if tensor.layout == torch.strided else 0


def _name(func: Any) -> str:
    """The plain name of a function, a method, an operator or a property."""
    name = func.__name__ if hasattr(func, "__name__") else str(func)
    if name == "__get__":
        name = func.__self__.__name__
    return name.strip("_")
