"""The array library that computes. Operations ask each array for its library, so the choice is made here only.

`array_api_strict` has the array API standard and nothing else: code that passes there should run on any such library.
"""

import importlib
from typing import Any

import numpy as np

from striate.core.config import suggest
from striate.core.errors import MissingDevice, TrainingError
from striate.core.optional import require
from striate.engines.environment import cpu_name

Array = Any  # an array of any of the libraries

LIBRARIES = ("numpy", "cupy", "array_api_strict")
# The functions that the operations call. A library that lacks one is refused before anything is trained.
NEEDED = [
    "abs",
    "asarray",
    "astype",
    "broadcast_to",
    "empty",
    "exp",
    "expm1",
    "isfinite",
    "log",
    "log1p",
    "matmul",
    "max",
    "maximum",
    "mean",
    "permute_dims",
    "reshape",
    "sign",
    "sqrt",
    "stack",
    "sum",
    "take",
    "tanh",
    "where",
    "zeros",
    "zeros_like",
]


def library(name: str) -> Any:
    """The module of an array library.

    Raises:
        MissingExtra: for CuPy, where it is not installed.
        TrainingError: for a library that is unknown, lacks a function, or finds no GPU.
    """
    if name not in LIBRARIES:
        raise TrainingError(f"recipe.engine: no array library '{name}'; {suggest(name, LIBRARIES)}")
    xp = _cupy() if name == "cupy" else importlib.import_module(name)
    lacking = [function for function in NEEDED if not hasattr(xp, function)]
    if lacking:
        version = getattr(xp, "__version__", "of this version")
        raise TrainingError(f"recipe.engine: {name} {version} lacks {', '.join(lacking)}; a newer one may have it")
    return xp


def device_of(name: str) -> tuple[str, str]:
    """The kind of device that the library `name` computes on, and the manufacturer's name of it."""
    if name != "cupy":
        return "cpu", cpu_name()
    runtime = _cupy().cuda.runtime
    return "cuda", runtime.getDeviceProperties(runtime.getDevice())["name"].decode()


def namespace(array: Array) -> Any:
    """The library that `array` belongs to."""
    if hasattr(array, "__array_namespace__"):
        return array.__array_namespace__()
    return importlib.import_module(type(array).__module__.partition(".")[0])  # CuPy before it kept to the standard


def is_numpy(array: Array) -> bool:
    """Whether it is a NumPy array."""
    return isinstance(array, np.ndarray)


def to_numpy(array: Array) -> np.ndarray:
    """A C-ordered copy as a NumPy array."""
    if hasattr(array, "get"):  # CuPy copies from the GPU only on request
        array = array.get()
    return np.array(array if is_numpy(array) else np.from_dlpack(array), order="C")


def _cupy() -> Any:
    cupy = require("cupy", extra="cupy", why="recipe.engine: cupy")
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise MissingDevice(f"recipe.engine: cupy finds no GPU here ({error}); numpy needs none") from error
    if not count:
        raise MissingDevice("recipe.engine: cupy finds no GPU here; numpy needs none")
    return cupy
