"""A module of the user's own: its factory is found and called, and what goes wrong is told in a sentence with the user's own lines."""

import contextlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from striate.core.config import suggest
from striate.core.errors import NetworkError
from striate.nets import user_code, user_import
from striate.nets.config import NetworkConfig
from striate.nets.layers import Shape, shape_text
from striate.nets.user_code import Reference


def factory(reference: Reference) -> Callable[..., Any]:
    """The function or class that `package.module:factory` names.

    Raises:
        NetworkError: when there is none, or importing it fails.
    """
    module_name, name = reference.module, reference.factory
    code = user_code.find(reference)
    try:
        module = user_import.load(code)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name and module_name.startswith(error.name):
            raise NetworkError(
                f"import: Python finds no module '{error.name}' beside {module_name.rpartition('.')[0] or 'the study file'}"
            ) from error
        raise NetworkError(f"import: importing {module_name} failed with {describe(error)}") from error
    made = getattr(module, name, None)
    if not callable(made):
        names = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise NetworkError(f"import: {module_name} has no function or class '{name}'; {suggest(name, names)}")
    return made


def call(factory: Callable[..., Any], network: NetworkConfig, input_shape: Shape, classes: int) -> nn.Module:
    """The module that the factory gives for `args`, and for `classes` and `input_shape` where it has these parameters."""
    try:
        signature = inspect.signature(factory)
    except ValueError as error:
        raise NetworkError(f"import: {network.title} has no signature to call it by; wrap it in a function") from error
    offered = {"classes": classes, "num_classes": classes, "input_shape": input_shape}
    arguments = {**{key: value for key, value in offered.items() if key in signature.parameters}, **network.args}
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise NetworkError(f"args: {network.title} does not take them: {error}") from error
    try:
        with contextlib.redirect_stdout(sys.stderr):  # where results are printed, as JSON perhaps
            module = factory(**arguments)
    except (Exception, SystemExit) as error:
        written = ", ".join(f"{key}={value!r:.60}" for key, value in arguments.items())
        raise NetworkError(f"import: {network.title}({written}) failed with {describe(error)}") from error
    if not isinstance(module, nn.Module):
        raise NetworkError(f"import: {network.title} gives {module!r:.60}; it must give a torch.nn.Module")
    if any(isinstance(part, torch.jit.ScriptModule) for part in module.modules()):
        raise NetworkError(
            f"import: {network.title} gives TorchScript, whose layers cannot be followed; give the torch.nn.Module that was scripted"
        )
    _settle(module, network, input_shape)
    return module


@torch.no_grad()
def _settle(module: nn.Module, network: NetworkConfig, input_shape: Shape) -> None:
    """Let lazy layers take their shapes from a pass of two images; what they draw is of the seed like the rest.

    Raises:
        NetworkError: when the module does not take such images, or has a lazy layer that the pass does not reach.
    """
    if not any(is_lazy(tensor) for tensor in (*module.parameters(), *module.buffers())):
        return
    module.eval()
    try:
        module(torch.zeros(2, *input_shape))
    except Exception as error:
        raise NetworkError(
            f"{network.title} does not take {shape_text(input_shape)} images: {describe(error)}"
        ) from error
    module.train()
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if is_lazy(tensor):
            raise NetworkError(
                f"import: {network.title}: '{name}' has no shape after a pass, which did not use its layer; give its size, or leave it out"
            )


def describe(error: BaseException) -> str:
    """An exception of the user's code: its type and message, then the user's own frames, without Striate's and torch's."""
    torch_folder = Path(torch.__file__).parent
    not_theirs = (Path(__file__).parents[2], torch_folder, torch_folder.with_name("torchvision"))
    prefixes = ("<frozen importlib", *(f"{folder}{os.sep}" for folder in not_theirs))
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(prefixes)]
    lines = traceback.format_list(frames)
    if isinstance(error, SyntaxError):
        # Its place is not a frame: the file could not be read, so nothing of it has run.
        lines = traceback.format_exception_only(error)[:-1]
    # Errors of torch's own can be pages long.
    try:
        message = "\n".join(str(error).splitlines()[:5])
    except Exception:  # an exception of the user's may fail at that too
        message = "its message cannot be read"
    return f"{type(error).__name__}: {message}\n{''.join(lines)}".rstrip()
