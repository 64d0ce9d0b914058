"""The ways to compute a network with PyTorch and ONNX Runtime, each with a clock that waits for the device."""

import copy
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.fx.experimental.optimization import fuse

from striate.core.errors import MissingExtra
from striate.core.optional import check_package, quiet, require
from striate.deploy.bench import PLAIN, Bench, Unavailable, Way, measure
from striate.engines.environment import common_facts
from striate.engines.protocol import PIXELS_AT_ONCE
from striate.engines.pytorch.device import Setup, applied, choose, name, precision_by_units
from striate.engines.pytorch.out_of_memory import is_out_of_memory
from striate.nets.layers import Shape
from striate.nets.pytorch.modules import Chain, ResidualBlock
from striate.nets.pytorch.winograd import use_winograd
from striate.recipes import Recipe

METHOD = (
    "Random images in the device's memory before the clock starts; the clock stops when the device is done (CUDA events on a GPU).",
    "Each row: a warm-up, then calls for about a second, three at least. p50 and p95 are latencies of a whole batch.",
    "eager is the loop that anybody writes: contiguous N x C x H x W, float32, torch.no_grad(). All others are compared with its outputs.",
    "tuned: channels-last, batch norm folded into the convolutions, inference_mode. winograd: tuned, with fewer multiplications.",
)
# Of the largest output of a layer, an image and its copies in other layouts need about so much.
_COPIES = 3.0


def bench(
    title: str, module: nn.Module, input_shape: Shape, classes: int, *, device: str, batches: tuple[int, ...], largest: int,
    seconds: float, published: tuple[float, str] | None = None,
) -> Bench:  # fmt: skip
    """Time every way to compute `module`; `largest`: bytes of the largest output of a layer for one image."""
    setup = choose(Recipe(precision="float32"), device)
    kind = setup.device.type
    onnxruntime = _version("onnxruntime")

    def too_large(batch: int) -> str:
        needed, free = _COPIES * batch * largest, _free_memory(setup.device)
        return f"needs about {needed / 2**30:.0f} GiB of memory, {free / 2**30:.0f} are free" if needed > free else ""

    with applied(setup):
        plain = module.eval().to(setup.device)
        rows = measure(_ways(plain, input_shape, setup), batches, too_large, seconds)
    return Bench(
        network=title, input_shape=tuple(input_shape), classes=classes, device=kind, device_name=name(setup.device),
        threads=setup.threads, rows=rows, method=METHOD, published=published,
        versions={
            "striate": str(common_facts()["striate"]), "torch": torch.__version__,
            **({"onnxruntime": onnxruntime} if onnxruntime else {}),
        },
    )  # fmt: skip


def _ways(module: nn.Module, shape: Shape, setup: Setup) -> Iterator[Way]:
    plain = TorchWay(PLAIN, "float32", lambda: module, shape, setup, None)
    yield plain
    yield TorchWay("tuned", "float32", lambda: tuned(module), shape, setup, plain)
    if setup.device.type == "cpu":
        yield TorchWay("winograd", "float32", lambda: _with_winograd(module), shape, setup, plain)
    yield CompiledWay("compiled", "float32", lambda: tuned(module), shape, setup, plain)
    yield OnnxWay(module, shape, setup, plain)
    yield TorchWay("tuned", "bf16", lambda: _in_bf16(module, setup), shape, setup, plain)
    if setup.device.type == "cuda":
        yield CompiledWay("compiled", "bf16", lambda: _in_bf16(module, setup), shape, setup, plain)


class TorchWay:
    """A module in eager PyTorch. `make` prepares it, once; it may be unavailable."""

    def __init__(
        self, name: str, precision: str, make: Callable[[], nn.Module], shape: Shape, setup: Setup, plain: "TorchWay | None"
    ) -> None:  # fmt: skip
        self.name, self.precision = name, precision
        self._make, self._shape, self._setup, self._plain = make, shape, setup, plain

    @cached_property
    def module(self) -> Callable[[Tensor], Tensor]:
        with _reasons():
            return self._make()

    def images(self, batch: int) -> Tensor:
        images = torch.randn(batch, *self._shape, generator=torch.Generator().manual_seed(0)).to(self._setup.device)
        if self._plain is None or images.ndim != 4:
            return images
        return images.contiguous(memory_format=torch.channels_last)

    def prepare(self, batch: int) -> Callable[[], float]:
        module, images, device = self.module, self.images(batch), self._setup.device
        dtype = torch.bfloat16 if self.precision == "bf16" else torch.float32
        # The mode that anybody knows for the plain loop, and the quicker one.
        without_gradients = torch.no_grad if self._plain is None else torch.inference_mode

        def call() -> float:
            with _reasons(), without_gradients():
                return seconds_of(lambda: module(images.to(dtype)), device)

        return call

    @cached_property
    def outputs(self) -> np.ndarray:
        """Of as many images as are compared, in float32."""
        dtype = torch.bfloat16 if self.precision == "bf16" else torch.float32
        with _reasons(), torch.no_grad():
            return self.module(self.images(_compared(self._shape)).to(dtype)).float().cpu().numpy()

    def difference(self) -> float | None:
        return None if self._plain is None else _difference(self._plain.outputs, self.outputs)


class CompiledWay(TorchWay):
    """A module through torch.compile, which needs a compiler on this machine."""

    @cached_property
    def module(self) -> Callable[[Tensor], Tensor]:
        with _reasons():
            compiled: Callable[[Tensor], Tensor] = torch.compile(self._make())
            return compiled


class OnnxWay:
    """The network as an ONNX file in ONNX Runtime."""

    name, precision = "onnxruntime", "float32"

    def __init__(self, module: nn.Module, shape: Shape, setup: Setup, plain: TorchWay) -> None:
        self._module, self._shape, self._setup, self._plain = module, shape, setup, plain

    @cached_property
    def session(self) -> Any:
        try:
            for package in ("onnx", "onnxscript", "onnxruntime"):
                check_package(package, extra="export", why="ONNX")
        except MissingExtra as error:
            raise Unavailable(str(error)) from error
        runtime: Any = require("onnxruntime", extra="export", why="ONNX")
        provider = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}.get(self._setup.device.type, "")
        if provider not in runtime.get_available_providers():
            raise Unavailable(f"this onnxruntime has no support for {self._setup.device.type}")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = self._setup.threads
        options.add_session_config_entry(
            "session.intra_op.allow_spinning", "0"
        )  # threads that spin slow down the next way
        with _reasons(), tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            torch.onnx.export(
                copy.deepcopy(self._module).cpu(), (torch.zeros(2, *self._shape),), str(path), dynamo=True, verbose=False,
                external_data=False, input_names=["images"], output_names=["logits"],
                dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            )  # fmt: skip
            return runtime.InferenceSession(str(path), options, providers=[provider])

    def prepare(self, batch: int) -> Callable[[], float]:
        session = self.session
        runtime: Any = require("onnxruntime", extra="export", why="ONNX")
        kind, number = self._setup.device.type, self._setup.device.index or 0
        binding = session.io_binding()
        pixels = torch.randn(batch, *self._shape, generator=torch.Generator().manual_seed(0)).numpy()
        binding.bind_ortvalue_input("images", runtime.OrtValue.ortvalue_from_numpy(pixels, kind, number))
        binding.bind_output("logits", kind, number)

        def call() -> float:
            started = time.perf_counter()
            with _reasons():
                session.run_with_iobinding(binding)
                binding.synchronize_outputs()
            return time.perf_counter() - started

        return call

    def difference(self) -> float | None:
        images = torch.randn(_compared(self._shape), *self._shape, generator=torch.Generator().manual_seed(0)).numpy()
        return _difference(self._plain.outputs, self.session.run(None, {"images": images})[0])


def _compared(shape: Shape) -> int:
    """How many images ways are compared on: enough for small maps to take the algorithms that they take when timed."""
    return max(2, min(64, PIXELS_AT_ONCE // math.prod(shape[1:])))


def seconds_of(call: Callable[[], object], device: torch.device) -> float:
    """The seconds that `call` takes until the device is done."""
    if device.type == "cuda":
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize(device)
        start.record()
        call()
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end)) / 1000
    started = time.perf_counter()
    call()
    if device.type == "mps":
        torch.mps.synchronize()
    return time.perf_counter() - started


def tuned(module: nn.Module) -> nn.Module:
    """A copy that computes the same faster: batch norm folded into convolutions where the module can be followed, and channels-last."""
    made = copy.deepcopy(module).eval()
    try:
        graph = _Tracer().trace(made)
        made = fuse(fx.GraphModule(made, graph), inplace=True, no_trace=True)
    except Exception:  # a module of anybody's that does not let itself be followed stays as it is
        made = copy.deepcopy(module).eval()
    for parameter in made.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return made.requires_grad_(False)


class _Tracer(fx.Tracer):
    """Follows what contains layers; a layer of Striate's own is one step, as those of torch are."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        is_ours = type(m).__module__.startswith("striate.") and not isinstance(m, Chain | ResidualBlock)
        return is_ours or super().is_leaf_module(m, module_qualified_name)


def _with_winograd(module: nn.Module) -> nn.Module:
    made = tuned(module)
    if not use_winograd(made):
        raise Unavailable("no 3x3 convolution of stride 1")
    return made


def _in_bf16(module: nn.Module, setup: Setup) -> nn.Module:
    choice = precision_by_units(setup.device)
    if choice.precision != "bf16":
        raise Unavailable(choice.reason)
    return tuned(module).bfloat16()


@contextmanager
def _reasons() -> Iterator[None]:
    """What goes wrong, as the reason in one line. Whatever a compiler, an exporter or a kernel raises."""
    try:
        with quiet():
            yield
    except Unavailable:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise Unavailable("does not fit into memory") from error
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise Unavailable(f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}"[:200]) from error


def _difference(expected: np.ndarray, given: np.ndarray) -> float:
    return float(np.abs(expected - given).max() / max(float(np.abs(expected).max()), 1e-30))


def _free_memory(device: torch.device) -> float:
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # kept from earlier rows
        return float(torch.cuda.mem_get_info(device)[0] + unused)
    try:
        with open("/proc/meminfo", encoding="utf-8") as file:
            found = next(line for line in file if line.startswith("MemAvailable"))
        return float(found.split()[1]) * 1024
    except (OSError, StopIteration):
        return float("inf")


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return ""
