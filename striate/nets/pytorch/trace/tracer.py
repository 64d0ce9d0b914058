"""Any torch module as a graph, by running it once on an image.

The run is recorded on two levels. Torch's functions and methods are read by name (`ops`), so residual branches,
functional calls, reused modules and in-place operations are all followed. Below them every operator is recorded,
whoever called it: one that came from outside those functions (a compiled part) is taken as unknown, so that no
dependence on the image is lost. Where the module reads values (`if x.sum() > 0`, `x.item()`), all that follows
depends on the data.

The module is restored afterwards, also when it fails: the training mode of each part, buffers, the random generator,
and no hook remains.

`trace_calls` also says which call gives the value of which node, counted over the calls that return a tensor: so a later run of
the same module can read any node's value, whoever computed it.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from striate.core.errors import NetworkError
from striate.nets.graph.graph import Certainty, Graph, Node, Op
from striate.nets.layers import Shape, shape_text
from striate.nets.pytorch.trace.axes import UNKNOWN, Layout, guess_layout, image_layout, shape_of
from striate.nets.pytorch.trace.call import METADATA, Call, Effect, unknown
from striate.nets.pytorch.trace.ops import DROPOUTS, read
from striate.nets.pytorch.trace.products import products


class CallSite(NamedTuple):
    """Where a node's value comes from: tensor number `result` of call number `call`, of a function of this name."""

    call: int
    result: int
    function: str
    layout: Layout


def trace(module: nn.Module, image: Tensor | Shape) -> Graph:
    """The graph of `module` on one image: a tensor of (1, channels, *spatial), or the shape (channels, *spatial).

    Raises:
        NetworkError: when the module cannot run on the image, or returns something else than one tensor that is
            computed from it.
    """
    return trace_calls(module, image)[0]


def trace_calls(module: nn.Module, image: Tensor | Shape) -> tuple[Graph, dict[str, CallSite]]:
    """The same graph, and the call that gives each node; a node that no call returns (a compiled part) has none."""
    with restored(module), torch.no_grad():
        pixels = _prepare_image(module, image)
        recorder = _Recorder(module, pixels)
        with recorder.module_stack(), _OperatorMode(recorder), recorder:
            result = _run(module, pixels, recorder)
        return recorder.graph(result), recorder.sites


def tensors_of(result: Any) -> list[Tensor]:
    """The tensors that a call returned, in order."""
    if isinstance(result, Tensor):
        return [result]
    return [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]


def _run(module: nn.Module, pixels: Tensor, recorder: "_Recorder") -> Any:
    try:
        return module(pixels)
    except Exception as error:  # whatever a module of the user's raises
        if error is recorder.own_error:
            raise
        shape = shape_text(pixels.shape[1:])
        raise NetworkError(f"{type(module).__name__} cannot run on an image of {shape}: {error}") from error


def _prepare_image(module: nn.Module, image: Tensor | Shape) -> Tensor:
    """The image on the module's device, in the module's precision."""
    like = next((p for p in module.parameters() if p.is_floating_point()), torch.empty(0))
    if isinstance(image, Tensor):
        if image.ndim < 3 or image.shape[0] != 1:
            raise NetworkError(f"the image must be (1, channels, *spatial), got {tuple(image.shape)}")
        # A copy: a module may begin with an in-place operation.
        return image.detach().to(like.device, like.dtype, copy=True)
    generator = torch.Generator().manual_seed(0)
    return torch.rand((1, *image), generator=generator).to(like.device, like.dtype)


@contextmanager
def restored(module: nn.Module) -> Iterator[None]:
    """In evaluation mode inside, and afterwards everything that a forward pass may change as before."""
    modes = {part: part.training for part in module.modules()}
    # Which buffers there are, and their values: a module may write into one or put another in its place.
    buffers = {part: dict(part._buffers) for part in module.modules()}
    values = {buffer: buffer.clone() for buffer in module.buffers()}
    try:
        with torch.random.fork_rng(devices=[]):
            module.eval()
            yield
    finally:
        for part, mode in modes.items():
            part.training = mode
            part._buffers.clear()
            part._buffers.update(buffers[part])
        with torch.no_grad():
            for buffer, before in values.items():
                buffer.copy_(before)


@dataclass(frozen=True)
class _Value:
    """A tensor that is computed from the image: the node that made it, and which of its axes is which."""

    tensor: Tensor  # held, so that its id is not given to another
    node: str
    layout: Layout


class _OperatorMode(TorchDispatchMode):
    """Counts the multiplications of every operator, and hands over operators that no recorded call contains."""

    def __init__(self, recorder: "_Recorder") -> None:
        super().__init__()
        self._recorder = recorder

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "_overloadpacket", func).__name__
        count = products(func, args, kwargs or {}, result)
        self._recorder.products += count or 0
        self._recorder.uncounted += [name.strip("_")] if count is None else []
        if not self._recorder.is_inside_call:
            self._recorder.record(name, args, kwargs or {}, result, is_function=False)
        return result


class _Recorder(TorchFunctionMode):
    """Makes the nodes of a run, call by call."""

    def __init__(self, module: nn.Module, pixels: Tensor) -> None:
        super().__init__()
        self.is_inside_call, self.products = False, 0
        self.uncounted: list[str] = []  # operators of the current call whose products are not known
        self.sites: dict[str, CallSite] = {}
        self._calls, self._result_index = -1, 0  # of calls that returned a tensor: the current one, and which tensor
        self.own_error: Exception | None = None  # raised by the recorder, and so not the module's mistake
        self._module, self._axes = module, pixels.ndim - 2
        self._paths = {part: path for path, part in module.named_modules()}
        self._parameters = {id(parameter): parameter for parameter in module.parameters()}
        self._stack: list[nn.Module] = []  # the modules whose forward is running
        self._name_counts = Counter({"input": 1})
        self._rows: set[str] = set()
        self._uncounted = set(self._parameters)
        self._constants: dict[int, tuple[Tensor, frozenset[int]]] = {}  # tensors computed from these parameters only
        shape = tuple(pixels.shape[1:])
        self._nodes = {"input": Node(name="input", op="input", output_shape=shape, layer="input")}
        self._values: dict[int, _Value] = {}
        self._writers: dict[int, str] = {}  # the node that last wrote to an address
        self._set_value(pixels, "input", image_layout(self._axes))
        self._has_read_values = False

    @contextmanager
    def module_stack(self) -> Iterator[None]:
        """Follow which module is running. By global hooks: the modules' own lists of hooks are not touched."""
        enter = register_module_forward_pre_hook(
            lambda part, _: self._stack.append(part) if part in self._paths else None
        )
        leave = register_module_forward_hook(lambda part, *_: self._leave(part), always_call=True)
        try:
            yield
        finally:
            enter.remove()
            leave.remove()

    def _leave(self, part: nn.Module) -> None:
        if part in self._paths:
            self._stack.pop()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.is_inside_call, self.products, self.uncounted = True, 0, []
        try:
            result = func(*args, **(kwargs or {}))
        finally:
            self.is_inside_call = False
        if tensors_of(result):
            self._calls += 1
        self.record(function_name(func), args, kwargs or {}, result)
        return result

    def record(self, name: str, args: Any, kwargs: dict[str, Any], result: Any, is_function: bool = True) -> None:
        """Record a call that has returned; of an operator (not `is_function`) nothing is known."""
        try:
            self._record(name, args, kwargs, result, is_function)
        except Exception as error:
            self.own_error = error
            raise

    def _record(self, name: str, args: Any, kwargs: dict[str, Any], result: Any, is_function: bool) -> None:
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        values = [value for tensor in tensors if (value := self._value(tensor))]
        results = tensors_of(result)
        if name == "setitem":
            results = [args[0]]
        if not values:
            self._record_constants(tensors, results)
        elif not results:
            self._has_read_values = self._has_read_values or name not in METADATA
        else:
            is_readable = is_function and name != "setitem"
            for self._result_index, tensor in enumerate(results):
                call = self._call(name, args, kwargs, values, tensor)
                effect = read(call) if is_readable else unknown(call)
                self._add(call, effect, values, tensors, is_readable)
                # The parameters and products of one call are counted with its first result.
                tensors, self.products, self.uncounted = [], 0, []

    def _call(self, name: str, args: Any, kwargs: dict[str, Any], values: Sequence[_Value], result: Tensor) -> Call:
        return Call(
            name=name,
            args=tuple(args),
            kwargs=kwargs,
            inputs=tuple(value.tensor for value in values),
            layouts=tuple(value.layout for value in values),
            result=result,
            axes=self._axes,
        )

    def _value(self, tensor: Tensor) -> _Value | None:
        """Where `tensor` comes from; None if not from the image."""
        if id(tensor) not in self._values and (node := self._writers.get(_address(tensor))):
            # A view made before something computed from the image was written into its memory.
            self._add_changed(tensor, UNKNOWN, (node,))
        return self._values.get(id(tensor))

    def _set_value(self, tensor: Tensor, node: str, layout: Layout) -> None:
        self._values[id(tensor)] = _Value(tensor, node, layout)
        if _address(tensor):
            self._writers[_address(tensor)] = node

    def _record_constants(self, tensors: Sequence[Tensor], results: Sequence[Tensor]) -> None:
        """Tensors computed from parameters only: a node that reads them owns the parameters."""
        sources = frozenset().union(*(self._sources(tensor) for tensor in tensors))
        for result in results:
            self._constants[id(result)] = (result, self._sources(result) | sources)

    def _sources(self, tensor: Tensor) -> frozenset[int]:
        """The parameters that `tensor` is or is computed from, by their ids."""
        own = frozenset({id(tensor)} & self._parameters.keys())
        return own | (self._constants[id(tensor)][1] if id(tensor) in self._constants else frozenset())

    def _add(
        self, call: Call, effect: Effect, values: Sequence[_Value], tensors: Sequence[Tensor], is_readable: bool
    ) -> None:
        """Add the node of a call."""
        result, operation = call.result, effect.operation
        if operation is None:
            self._set_value(result, values[0].node, effect.layout)
            return
        name, layer = self._name(call.name, operation.op, values[0].node)
        node = Node(
            name=name,
            op=operation.op,
            inputs=tuple(value.node for value in values),
            output_shape=shape_of(effect.layout, result.shape),
            layer=layer,
            kernel=operation.kernel,
            stride=operation.stride,
            dilation=operation.dilation,
            padding=operation.padding,
            windows=operation.windows,
            groups=operation.groups,
            whole=operation.whole,
            certainty=self._certainty(operation.certainty),
        )
        self._nodes[name] = self._with_costs(node, call, tensors)
        if is_readable:
            self.sites[name] = CallSite(self._calls, self._result_index, call.name, effect.layout)
        is_in_place = any(result is value.tensor for value in values) and call.name not in DROPOUTS
        self._set_value(result, name, effect.layout)
        if is_in_place:
            self._update_views(result, name)

    def _update_views(self, changed: Tensor, node: str) -> None:
        """Other tensors in the same memory have changed too, at positions that are not known."""
        for value in list(self._values.values()):
            if value.tensor is not changed and _address(value.tensor) == _address(changed):
                self._add_changed(value.tensor, value.layout, (value.node, node))

    def _add_changed(self, tensor: Tensor, layout: Layout, inputs: tuple[str, ...]) -> None:
        """From here on `tensor` may depend on all that `inputs` do."""
        name = self._unique("changed")
        self._nodes[name] = Node(
            name=name,
            op="other",
            inputs=inputs,
            output_shape=shape_of(layout, tensor.shape),
            layer=name,
            whole=True,
            certainty=self._certainty("upper bound"),
        )
        self._set_value(tensor, name, layout or guess_layout(tensor.shape, self._axes))

    def _certainty(self, certainty: Certainty) -> Certainty:
        return "depends on the data" if self._has_read_values else certainty

    def _with_costs(self, node: Node, call: Call, tensors: Sequence[Tensor]) -> Node:
        """`node` with what it multiplies by, and the parameters that no earlier node has counted."""
        owned = [tensor for tensor in tensors if self._sources(tensor)]
        if node.op in ("conv", "fc"):
            weight, bias = call.argument("weight", 1), call.argument("bias", 2)
        else:
            weight = owned[0] if owned else None
            bias = owned[1] if len(owned) > 1 and node.op == "norm" else None
        weights = biases = 0
        for tensor in owned:
            new = self._sources(tensor) & self._uncounted
            self._uncounted -= new
            count = sum(self._parameters[key].numel() for key in new)
            if tensor is bias:
                biases += count
            else:
                weights += count
        return replace(
            node,
            weights=weights,
            biases=biases,
            weight_shape=() if weight is None else tuple(weight.shape),
            products=0 if node.op in ("conv", "fc") else self.products,
            uncounted=() if node.op in ("conv", "fc") else tuple(dict.fromkeys(self.uncounted)),
        )

    def _name(self, function: str, op: Op, before: str) -> tuple[str, str]:
        """The name of a new node, and the row of the table that it belongs to."""
        module = self._stack[-1] if self._stack else self._module
        path = self._paths[module]
        # A module of torch's own is one operation; only a convolution pads first.
        parts = {name for name, _ in module.named_children()} - {"parametrizations"}
        is_single = bool(path) and type(module).__module__.startswith("torch.nn.") and not parts
        inner = f"{path}.{function}" if path else function
        name = self._unique(f"{path}.pad" if is_single and op == "pad" else path if is_single else inner)
        if before != "input" and self._follows(op, path, self._nodes[before]):
            return name, self._nodes[before].layer
        # What a block of modules does itself (an add) is the block's row.
        row = path if path and path not in self._rows and (not is_single or op == "pad") else name
        self._rows.add(row if row != path or op != "pad" else "")
        return name, row

    def _follows(self, op: Op, path: str, before: Node) -> bool:
        """Whether a node belongs to the row of the one that it reads."""
        is_after = before.op in ("conv", "fc", "activation") or path.startswith(f"{before.layer}.")
        return op == "activation" or (op == "norm" and is_after)

    def _unique(self, name: str) -> str:
        self._name_counts[name] += 1
        count = self._name_counts[name]
        return name if count == 1 else f"{name}#{count}"

    def graph(self, result: Any) -> Graph:
        """The graph of what was recorded; `result` is what the module returned.

        Raises:
            NetworkError: for a result that is not one tensor computed from the image.
        """
        kind = type(self._module).__name__
        if not isinstance(result, Tensor):
            raise NetworkError(f"{kind} must return one tensor, got {type(result).__name__}")
        if (value := self._value(result)) is None:
            raise NetworkError(f"the result of {kind} is not computed from the image by operations of torch")
        used = self._used_nodes(value.node)
        nodes = tuple(node for name, node in self._nodes.items() if name in used)
        unused = sum(self._parameters[key].numel() for key in self._uncounted)
        return Graph(nodes=nodes, output=value.node, unused_parameters=unused)

    def _used_nodes(self, output: str) -> set[str]:
        """Nodes that the result, or a node with parameters, depends on."""
        used = {"input", output} | {name for name, node in self._nodes.items() if node.parameters}
        for name in reversed(self._nodes):
            if name in used:
                used.update(self._nodes[name].inputs)
        return used


def _address(tensor: Tensor) -> int:
    """The address of the memory that `tensor` views; 0 where it has none."""
    return tensor.untyped_storage().data_ptr() if tensor.layout == torch.strided else 0


def function_name(func: Any) -> str:
    """The plain name of a function, a method, an operator or a property."""
    name = func.__name__ if hasattr(func, "__name__") else str(func)
    if name == "__get__":
        name = func.__self__.__name__
    return name.strip("_")
