"""A network that can be asked: its graph, the receptive fields of its units, the value of any node on any images.

A node's value is read where the call that computes it returns, so functions, methods, reused modules and in-place operations are
all the same. No hook is registered. The module runs in evaluation mode with frozen parameters, and afterwards, also after an
error, its modes, buffers and parameters are as they were.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from striate.core.config import suggest
from striate.core.errors import NetworkError
from striate.nets.graph.graph import Node
from striate.nets.graph.receptive_field import ReceptiveFields
from striate.nets.layers import Shape, shape_text
from striate.nets.pytorch.modules import written_order
from striate.nets.pytorch.trace.axes import Layout
from striate.nets.pytorch.trace.tracer import CallSite, function_name, restored, tensors_of, trace_calls

# Computes a call instead of torch: gets the function, its arguments and its keyword arguments, and gives the result.
Rule = Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]
_Take = Callable[[str, Tensor], Tensor]
OTHER_PATH = "the network took another path through its layers on these images than on the one that it was traced with"
COMPILED = "is compiled, and what happens inside a compiled part cannot be seen"


class RecordedCall(NamedTuple):
    """A call of a function of torch. Tensors that come from the image are those that require a gradient."""

    func: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def function(self) -> str:
        """The plain name of the function."""
        return function_name(self.func)

    def argument(self, name: str, position: int, default: Any = None) -> Any:
        """The argument called `name`, or the one at `position`."""
        return self.kwargs.get(name, self.args[position] if position < len(self.args) else default)


class TracedNetwork:
    """A module and its graph, made by running it once on an image: a tensor (1, channels, *spatial), or a shape.

    Layers have the names of the layer table; the nodes of the graph (a norm, an activation, a sum) have names of their own.

    Raises:
        NetworkError: for a module that is compiled, or cannot run on the image.
    """

    def __init__(self, module: nn.Module, image: Tensor | Shape) -> None:
        _refuse_compiled(module)
        self.module = module
        with written_order():
            self.graph, self._sites = trace_calls(module, image)

    @cached_property
    def fields(self) -> ReceptiveFields:
        return ReceptiveFields(self.graph)

    @property
    def input_shape(self) -> Shape:
        return self.graph.input_shape

    def node(self, name: str) -> Node:
        """The node called `name`; if there is none, the last one of the layer called so.

        Raises:
            NetworkError: when there is neither, with the nearest name.
        """
        if name in self.graph:
            return self.graph[name]
        return self._nodes_of(name)[-1]

    def output_node(self, name: str) -> Node:
        """The last node of the layer called `name`, after its norm and activation; the node itself, if no layer is called so."""
        return self._nodes_of(name)[-1] if name in self.graph.layers else self.node(name)

    def unit_node(self, name: str) -> Node:
        """The values of a layer before its activation, which tell more than a rectifier leaves of them.

        The last node of the layer that comes before its first activation; the node itself, if `name` is that of a node only.
        """
        if name in self.graph and name not in self.graph.layers:
            return self.graph[name]
        nodes = self._nodes_of(name)
        first = next((index for index, node in enumerate(nodes) if node.op == "activation"), len(nodes))
        return nodes[max(first, 1) - 1]

    def _nodes_of(self, layer: str) -> list[Node]:
        nodes = [node for node in self.graph.nodes if node.layer == layer and node.op != "input"]
        if not nodes:
            known = [*self.graph.layers, *(node.name for node in self.graph.nodes)]
            raise NetworkError(f"layer '{layer:.60}': the network has no such layer; {suggest(layer, known)}")
        return nodes

    def place(self, images: Tensor, *, any_size: bool = False) -> Tensor:
        """`images` on the module's device, in its precision.

        Raises:
            NetworkError: for images of another shape than the network was traced with.
        """
        if not any_size and (images.ndim != 1 + len(self.input_shape) or tuple(images.shape[1:]) != self.input_shape):
            raise NetworkError(
                f"images: must be (N, {', '.join(map(str, self.input_shape))}) for this network, got {tuple(images.shape)}"
            )
        like = next((p for p in self.module.parameters() if p.is_floating_point()), images)
        return images.detach().to(like.device, like.dtype)

    @torch.no_grad()
    def values(self, images: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """The value of each node on `images`: (N, channels, *spatial) or (N, features)."""
        values: dict[str, Tensor] = {}
        with self.running():
            self.visit(images, names, lambda name, value: values.update({name: value.clone()}))
        return values

    @torch.no_grad()
    def visit(
        self, images: Tensor, names: Sequence[str], see: Callable[[str, Tensor], None], *, any_size: bool = False
    ) -> None:
        """Call `see` with the name and the value of each node when it is computed, and stop after the last.

        The value may be changed in place afterwards: whoever keeps it copies it. With `any_size`, images may have another size than
        that of the trace, as far as the layers before the nodes take it. To be called inside `running`.
        """

        def take(name: str, value: Tensor) -> Tensor:
            see(name, self.channels_first(name, value))
            return value

        self._run(self.place(images, any_size=any_size), names, take)

    def differentiable(self, pixels: Tensor, names: Sequence[str], rule: Rule | None = None) -> dict[str, Tensor]:
        """The values of nodes, from which gradients lead to `pixels` and to each other; `rule` computes the calls instead of torch.

        To be called inside `running`. In torch's own order of axes: `channels_first` brings them into ours.
        """
        values: dict[str, Tensor] = {}

        def take(name: str, value: Tensor) -> Tensor:
            values[name] = value
            return value.clone()  # what follows may change it in place

        # Not the leaf itself, which torch lets no in-place operation change.
        self._run(pixels.clone(), names, take, rule)
        if "input" in names:
            values["input"] = pixels
        return values

    def call(self, images: Tensor, name: str) -> "RecordedCall":
        """The call of torch that gives a node on `images`: its function, and its arguments as they were before the call."""
        last: list[RecordedCall] = []

        def record(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            # The pass stops at the wanted call, so that is the last one.
            last[:] = [RecordedCall(func, *tree_map_only(Tensor, Tensor.clone, (args, kwargs)))]
            return func(*args, **kwargs)

        # What needs a gradient comes from the image: parameters need none inside `running`.
        pixels = self.place(images).requires_grad_()
        with self.running(), torch.enable_grad():
            self._run(pixels.clone(), [name], lambda _, value: value, record)
        return last[0]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Inside, the module is in evaluation mode, its parameters need no gradients, and layers run in their written order."""
        needed = [parameter for parameter in self.module.parameters() if parameter.requires_grad]
        with restored(self.module), written_order():
            try:
                for parameter in needed:
                    parameter.requires_grad_(False)
                yield
            finally:
                for parameter in needed:
                    parameter.requires_grad_(True)

    def channels_first(self, name: str, value: Tensor) -> Tensor:
        """The value of a node with its axes in the order (N, channels, *spatial), where these are known."""
        layout = self._sites[name].layout if name in self._sites else ()
        return value.permute(order) if (order := _to_channels_first(layout)) else value

    def name_of_call(self, call: int) -> str:
        """The node that call number `call` gives, in a text for the user."""
        return next((name for name, site in self._sites.items() if site.call == call), "an operation outside the graph")

    def _run(
        self,
        images: Tensor,
        names: Sequence[str],
        take: _Take,
        rule: Rule | None = None,
    ) -> None:
        wanted: dict[int, list[tuple[str, CallSite]]] = {}
        for name in names:
            if name == "input":
                take(name, images)
                continue
            site = self._sites.get(self.graph[name].name)
            if site is None:
                raise NetworkError(
                    f"layer '{name}': its values cannot be read, because no function of torch returns them"
                )
            wanted.setdefault(site.call, []).append((name, site))
        if not wanted:
            return
        try:
            with _Watch(wanted, take, rule), _no_compiled_functions():
                self.module(images)
        except _EnoughError:
            return
        except NetworkError:
            raise
        except Exception as error:
            self._refuse(error, images)
        raise NetworkError(OTHER_PATH)

    def _refuse(self, error: Exception, images: Tensor) -> None:
        kind = type(self.module).__name__
        if type(error).__module__.startswith("torch._dynamo") or "fail_on_recompile" in str(error):
            raise NetworkError(
                f"{kind}: a function of it {COMPILED}; leave torch.compile out of its code for this"
            ) from error
        raise NetworkError(f"{kind} cannot run on images of {shape_text(images.shape[1:])}: {error}") from error


def _no_compiled_functions() -> AbstractContextManager[Any]:
    """Inside, a call of a function that torch compiled raises an error, instead of hiding what the function does."""
    # Where nothing was compiled, torch's compiler is not imported.
    return torch.compiler.set_stance("fail_on_recompile") if "torch._dynamo" in sys.modules else nullcontext()


class _EnoughError(BaseException):
    """Ends a forward pass of which nothing more is needed; no module's `except Exception` catches it."""


class _Watch(TorchFunctionMode):
    """Counts the calls that return a tensor, as the tracer does, and takes the values of the wanted ones."""

    def __init__(
        self,
        wanted: Mapping[int, Sequence[tuple[str, CallSite]]],
        take: _Take,
        rule: Rule | None,
    ) -> None:
        super().__init__()
        self._wanted, self._take, self._rule = wanted, take, rule
        self._last, self._calls = max(wanted), -1

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        call, kwargs = self._rule or _call, kwargs or {}
        wanted, copy = self._wanted.get(self._calls + 1), None
        if not wanted or not args or not isinstance(args[0], Tensor):
            result = call(func, args, kwargs)
        else:
            # On a copy: were the function in place, its value could not be kept beside what becomes of the tensor later.
            copy = args[0].clone()
            result = call(func, (copy, *args[1:]), kwargs)
        tensors = tensors_of(result)
        if not tensors:
            return result
        self._calls += 1
        for name, site in wanted or ():
            if function_name(func) != site.function or site.result >= len(tensors):
                raise NetworkError(f"layer '{name}': {OTHER_PATH}")
            value = tensors[site.result]
            after = self._take(name, value)
            result = args[0].copy_(value) if value is copy else _replaced(result, value, after)
        if self._calls == self._last:
            raise _EnoughError
        return result


def _call(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return func(*args, **kwargs)


def _replaced(result: Any, old: Tensor, new: Tensor) -> Any:
    """`result` with one of its tensors replaced."""
    if result is old:
        return new
    return type(result)(new if part is old else part for part in result) if isinstance(result, tuple | list) else result


def _to_channels_first(layout: Layout) -> tuple[int, ...] | None:
    """The order of axes that makes (N, C, 0, 1, ...) of `layout`; None if it is that already, or is not known."""
    spatial = sorted(label for label in layout if isinstance(label, int))
    wanted = ["N", "C", *spatial]
    if list(layout) == wanted or sorted(map(str, layout)) != sorted(map(str, wanted)):
        return None
    return tuple(layout.index(label) for label in wanted)


def _refuse_compiled(module: nn.Module) -> None:
    """
    Raises:
        NetworkError: for a module that is compiled, or a part of it.
    """
    for name, part in module.named_modules():
        where = f"'{name}'" if name else type(module).__name__
        if type(part).__name__ == "OptimizedModule":  # its class is in a module that takes seconds to import
            cure = "give the module that was compiled (its _orig_mod)" if not name else "compile it later"
            raise NetworkError(f"{where} {COMPILED}; {cure}")
        if part._compiled_call_impl is not None:
            raise NetworkError(f"{where} {COMPILED}; leave its compile() out for this")
        if isinstance(part, torch.jit.ScriptModule):
            raise NetworkError(
                f"{where} is a TorchScript module, whose operations cannot be seen; give the module it was made from"
            )
