"""Networks that somebody else has built: torchvision's by name, and any module of the user's own.

torchvision's are made for our number of classes; with `pretrained`, all weights that do not depend on that number
are torchvision's (downloaded once, checked against the digits in the file's name) or a file's, and the rest, the
head, is drawn anew. Whatever such a module draws for itself comes from the seed alone.

The weights that torchvision publishes: the file of each network, downloaded once, with its checksum checked.
"""

import hashlib
import importlib
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from striate.core.config import suggest
from striate.core.errors import NetworkError
from striate.core.seeds import integer
from striate.nets import init
from striate.nets.config import NetworkConfig
from striate.nets.layers import Shape, text
from striate.nets.pytorch import weights
from striate.nets.pytorch.freeze import freeze

_SHAPES_ONLY = "meta"  # the device whose tensors take no memory and no time
# In training these give several outputs, which the training loop has no use for.
SEVERAL_OUTPUTS = frozenset({"googlenet", "inception_v3"})


def build(network: NetworkConfig, input_shape: Shape, classes: int, seed: int) -> nn.Module:
    """The module, with its weights, frozen as `network.freeze` says, tried once on an empty image.

    Raises:
        NetworkError: for a name, a module or a file that is not there, or a network that does not take these images.
    """
    made, head = _made(network, input_shape, classes, seed)
    if network.pretrained:
        _fill(made, network, head, seed)
    freeze(made, network.freeze, head)
    _takes(made, network, input_shape, classes)
    return made


def parameters(network: NetworkConfig, input_shape: Shape, classes: int) -> int:
    """How many parameters the module has, without any of its weights."""
    made, _ = _made(network, input_shape, classes, 0, _SHAPES_ONLY if network.torchvision else "cpu")
    return sum(parameter.numel() for parameter in made.parameters())


def known() -> list[str]:
    """torchvision's classifiers that can be trained here."""
    from torchvision import models

    return [name for name in models.list_models(module=models) if name not in SEVERAL_OUTPUTS]


def _made(
    network: NetworkConfig, input_shape: Shape, classes: int, seed: int, device: str = "cpu"
) -> tuple[nn.Module, frozenset[str]]:
    """The module with weights of its own, and the names of its head's parameters."""
    if network.torchvision:
        name = network.torchvision
        made = _seeded(lambda: _from_torchvision(name, classes), seed, device)
        other = _seeded(lambda: _from_torchvision(name, classes + 1), seed, _SHAPES_ONLY)
        shapes = {key: tensor.shape for key, tensor in other.named_parameters()}
        # The head is what changes with the number of classes, however the network calls it.
        return made, frozenset(key for key, tensor in made.named_parameters() if tensor.shape != shapes[key])
    factory = _factory(str(network.import_))
    made = _seeded(lambda: _called(factory, network, input_shape, classes), seed, device)
    names = [name for name, _ in made.named_parameters()]
    last = names[-1].rpartition(".")[0] if names else ""
    return made, frozenset(name for name in names if name.rpartition(".")[0] == last)


def _seeded(make: Callable[[], nn.Module], seed: int, device: str) -> nn.Module:
    """Made with a global generator that only the seed decides, and that is put back."""
    try:
        with torch.random.fork_rng(devices=[]), torch.device(device):
            torch.manual_seed(integer(seed, "init"))
            return make()
    except NotImplementedError:
        # A RegNet computes its widths with tensors, and those of the meta device have no values.
        if device != _SHAPES_ONLY:
            raise
        return _seeded(make, seed, "cpu")


def _from_torchvision(name: str, classes: int) -> nn.Module:
    from torchvision import models

    if name not in known():
        why = "gives several outputs in training" if name in SEVERAL_OUTPUTS else "is not a classifier of torchvision"
        raise NetworkError(f"torchvision: '{name}' {why}; {suggest(name, known())}")
    return models.get_model(name, weights=None, num_classes=classes)


def _factory(where: str) -> Callable[..., Any]:
    module_name, _, name = where.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise
        raise NetworkError(
            f"import: Python finds no module '{error.name}'; install it, or name its folder in PYTHONPATH"
        ) from error
    if not callable(found := getattr(module, name, None)):
        names = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise NetworkError(f"import: {module_name} has no function or class '{name}'; {suggest(name, names)}")
    return found


def _called(factory: Callable[..., Any], network: NetworkConfig, input_shape: Shape, classes: int) -> nn.Module:
    """What the factory makes of `args`, and of `classes` and `input_shape` where it asks for them."""
    asked = inspect.signature(factory).parameters
    facts = {"classes": classes, "num_classes": classes, "input_shape": input_shape}
    arguments = {**{key: value for key, value in facts.items() if key in asked}, **network.args}
    try:
        inspect.signature(factory).bind(**arguments)
    except TypeError as error:
        raise NetworkError(f"args: {network.import_} does not take them: {error}") from error
    made = factory(**arguments)
    if not isinstance(made, nn.Module):
        raise NetworkError(f"import: {network.import_} gives {made!r:.60}; it must give a torch.nn.Module")
    return made


def _fill(module: nn.Module, network: NetworkConfig, head: frozenset[str], seed: int) -> None:
    if isinstance(network.pretrained, str):
        path = Path(network.pretrained).expanduser()
        found = weights.read(path)
    else:
        found, path = read(str(network.torchvision))
    # Of the user's own module the file may hold the head too; of torchvision's it is for other classes.
    skip = head if network.torchvision else frozenset()
    weights.put(module, found, str(path), skip)
    for name in sorted(skip):
        _draw(module, name, seed)


def _draw(module: nn.Module, name: str, seed: int) -> None:
    """The head as `init`'s default scheme has it, from its own stream."""
    layer, _, parameter = name.rpartition(".")
    shape = tuple(module.get_parameter(f"{layer}.weight").shape)
    drawn = (
        init.weight("default", seed, layer, shape) if parameter == "weight" else init.bias(False, seed, layer, shape)
    )
    with torch.no_grad():
        module.get_parameter(name).copy_(torch.from_numpy(drawn))


# Not inference_mode: a module may keep a tensor of its first pass, and must be able to learn with it.
@torch.no_grad()
def _takes(module: nn.Module, network: NetworkConfig, input_shape: Shape, classes: int) -> None:
    """Run it once, as evaluation would."""
    was_training = module.training
    module.eval()
    try:
        got: Tensor = module(torch.zeros(2, *input_shape))
    except Exception as error:
        # Whatever a module that is not ours raises: the reader needs to know what it was given.
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise NetworkError(f"{network.title} does not take {text(input_shape)} images: {first}") from error
    module.train(was_training)
    if not isinstance(got, Tensor) or tuple(got.shape) != (2, classes):
        shape = tuple(got.shape) if isinstance(got, Tensor) else type(got).__name__
        raise NetworkError(f"{network.title} gives {shape} for 2 images; {classes} classes need (2, {classes})")


_OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|conv))\.([12]\.\w+)$")


def read(name: str) -> tuple[dict[str, Tensor], Path]:
    """torchvision's best weights of network `name`, under the names of today, and the file that they are from.

    Raises:
        NetworkError: saying which file to put where, or that the file there is damaged.
    """
    path = _downloaded(name)
    return _today(weights.read(path)), path


def weights_file(name: str) -> tuple[str, Path]:
    """Where torchvision's weights of a network are: the address, and the file that they are kept in."""
    from torchvision import models

    best = models.get_model_weights(name).DEFAULT
    return best.url, Path(torch.hub.get_dir()) / "checkpoints" / best.url.rpartition("/")[2]


def _downloaded(name: str) -> Path:
    """The file of torchvision's weights, downloaded if need be, with its checksum checked.

    Raises:
        NetworkError: saying which file to put where.
    """
    url, path = weights_file(name)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        digits = torch.hub.HASH_REGEX.search(path.name)
        try:
            torch.hub.download_url_to_file(url, str(path), digits.group(1) if digits else None, progress=False)
        except (OSError, RuntimeError) as error:
            raise NetworkError(
                f"pretrained: the weights of {name} cannot be downloaded ({error}); get {url} on a machine that can, "
                f"and put the file at {path}, or give its path as pretrained: PATH"
            ) from error
    _check(path)
    return path


def _check(path: Path) -> None:
    """torchvision puts the first digits of the SHA-256 into the file's name."""
    digits = torch.hub.HASH_REGEX.search(path.name)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digits and not digest.startswith(digits.group(1)):
        raise NetworkError(
            f"pretrained: {path} is damaged: its SHA-256 begins {digest[:8]}, its name says {digits.group(1)}; "
            "remove it, and it is downloaded anew"
        )


def _today(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names that DenseNet's published weights would have today, as torchvision renames them too."""
    for name in list(found):
        found[_OLD_DENSENET.sub(r"\1\2", name)] = found.pop(name)
    return found
