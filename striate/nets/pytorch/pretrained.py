"""Networks that somebody else has written: torchvision's classifiers by name, and any module of the user's own.

torchvision's are made for our number of classes. With `pretrained`, every weight whose shape does not depend on that
number is torchvision's (downloaded once, its checksum verified) or a file's; the others, the head, are drawn from the
seed. The seed also decides what such a module draws for itself.
"""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from striate.core.config import suggest
from striate.core.errors import MissingWeights, NetworkError
from striate.core.seeds import integer_seed
from striate.nets import init
from striate.nets.config import NetworkConfig
from striate.nets.layers import Shape, shape_text
from striate.nets.pytorch import checkpoints, imported, weights
from striate.nets.pytorch.freeze import freeze

_META = "meta"  # the device whose tensors have shapes only: they take no memory and no time
# In training these give several outputs, which no engine supports.
SEVERAL_OUTPUTS = frozenset({"googlenet", "inception_v3"})
_OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|conv))\.([12]\.\w+)$")


def build(network: NetworkConfig, input_shape: Shape, classes: int, seed: int) -> nn.Module:
    """The module with its weights, frozen as `network.freeze` says, after a forward pass on an empty image.

    Raises:
        NetworkError: for a name, a module or a file that does not exist, a factory that fails, or a network that does
            not take these images.
    """
    module, head = _construct(network, input_shape, classes, seed)
    if network.pretrained:
        (tensors, _), path = _read_weights(network, module)
        skipped = _not_loaded(network, module, head, tensors)
        weights.put(module, tensors, str(path), skipped)
        # A module of the user's own has drawn its head when it was made.
        for name in sorted(skipped) if network.torchvision else ():
            _draw(module, name, seed)
    freeze(module, network.freeze, head)
    _check_output(module, network, input_shape, classes)
    return module


def count_parameters(
    network: NetworkConfig, input_shape: Shape, classes: int, note: Callable[[str], None] = lambda _: None
) -> int:
    """How many parameters the module has; nothing is downloaded, and torchvision's modules take no memory.

    `note` is told what was stripped or left out of a file of weights.

    Raises:
        NetworkError: for everything that `build` refuses, except published weights.
    """
    module, head = _construct(network, input_shape, classes, 0, _META if network.torchvision else "cpu")
    if isinstance(network.pretrained, str):
        (tensors, remarks), path = _read_weights(network, module)
        for remark in remarks:
            note(remark)
        weights.check(module, tensors, str(path), _not_loaded(network, module, head, tensors))
    freeze(module, network.freeze, head)
    _check_output(module, network, input_shape, classes)
    return sum(parameter.numel() for parameter in module.parameters())


def check_training_batch(network: NetworkConfig, input_shape: Shape, classes: int, images: int) -> None:
    """Refuse a module that cannot train on a batch of so many images, as a batch norm of one value cannot.

    Raises:
        NetworkError: with the module's own words.
    """
    module, head = _construct(network, input_shape, classes, 0, _META if network.torchvision else "cpu")
    freeze(module, network.freeze, head)
    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    module.train()
    try:
        with torch.no_grad():
            module(torch.zeros(images, *input_shape, device=device))
    except Exception as error:
        number = "1 image" if images == 1 else f"{images} images"
        raise NetworkError(
            f"{network.title} cannot train on a batch of {number}: {imported.describe(error)}"
        ) from error


def draws_weights(network: NetworkConfig, input_shape: Shape, classes: int) -> bool:
    """Whether a module begins with drawn weights: two seeds give different ones, the head left aside.

    Raises:
        NetworkError: for a module that cannot be made.
    """
    first, head = _construct(network, input_shape, classes, 0)
    second = dict(_construct(network, input_shape, classes, 1)[0].named_parameters())
    compared = [name for name in second if name not in head]
    parameters = dict(first.named_parameters())
    return not compared or any(not torch.equal(parameters[name], second[name]) for name in compared)


def classifiers() -> list[str]:
    """torchvision's classifiers that can be trained here."""
    from torchvision import models

    return [name for name in models.list_models(module=models) if name not in SEVERAL_OUTPUTS]


def _construct(
    network: NetworkConfig, input_shape: Shape, classes: int, seed: int, device: str = "cpu"
) -> tuple[nn.Module, frozenset[str]]:
    """The module with weights of its own, and the names of its head's parameters."""
    if network.torchvision:
        name = network.torchvision
        module = _seeded(lambda: _from_torchvision(name, classes), seed, device)
        other = _seeded(lambda: _from_torchvision(name, classes + 1), seed, _META)
        shapes = {key: tensor.shape for key, tensor in other.named_parameters()}
        # The head is what changes with the number of classes, whatever the network calls it.
        return module, frozenset(key for key, tensor in module.named_parameters() if tensor.shape != shapes[key])
    assert network.reference
    factory = imported.factory(network.reference)
    module = _seeded(lambda: imported.call(factory, network, input_shape, classes), seed, device)
    names = [name for name, _ in module.named_parameters()]
    last = names[-1].rpartition(".")[0] if names else ""
    return module, frozenset(name for name in names if name.rpartition(".")[0] == last)


def _seeded(make: Callable[[], nn.Module], seed: int, device: str) -> nn.Module:
    """Made while the seed alone decides torch's global generator, which is restored."""
    try:
        with torch.random.fork_rng(devices=[]), torch.device(device):
            torch.manual_seed(integer_seed(seed, "init"))
            return make()
    except NotImplementedError:
        # A RegNet computes its widths with tensors, and those of the meta device have no values.
        if device != _META:
            raise
        return _seeded(make, seed, "cpu")


def _from_torchvision(name: str, classes: int) -> nn.Module:
    from torchvision import models

    if name not in classifiers():
        reason = (
            "gives several outputs in training" if name in SEVERAL_OUTPUTS else "is not a classifier of torchvision"
        )
        raise NetworkError(f"torchvision: '{name}' {reason}; {suggest(name, classifiers())}")
    return models.get_model(name, weights=None, num_classes=classes)


def _read_weights(network: NetworkConfig, module: nn.Module) -> tuple[checkpoints.Checkpoint, Path]:
    """The tensors of `network.pretrained` under the names of `module`, and the file that they are from."""
    if isinstance(network.pretrained, str):
        path = Path(network.pretrained).expanduser()
        return checkpoints.fitted(checkpoints.read(path), module.state_dict().keys(), path.name), path
    tensors, path = published_weights(str(network.torchvision))
    return checkpoints.Checkpoint(tensors), path


def _not_loaded(
    network: NetworkConfig, module: nn.Module, head: frozenset[str], tensors: Mapping[str, Tensor]
) -> frozenset[str]:
    """torchvision's head is for other classes. A file for the user's own module may hold the head too, or one for other classes."""
    own = module.state_dict()
    fits = all(name in tensors and tensors[name].shape == own[name].shape for name in head)
    return frozenset() if network.import_ and fits else head


def _draw(module: nn.Module, name: str, seed: int) -> None:
    """Draw parameter `name` by the default scheme of `init`, from its own stream."""
    layer, _, parameter = name.rpartition(".")
    shape = tuple(module.get_parameter(f"{layer}.weight").shape)
    values = (
        init.weight("default", seed, layer, shape) if parameter == "weight" else init.bias(False, seed, layer, shape)
    )
    with torch.no_grad():
        module.get_parameter(name).copy_(torch.from_numpy(values))


# Not inference_mode: a module may keep a tensor of its first pass, and must be able to learn with it.
@torch.no_grad()
def _check_output(module: nn.Module, network: NetworkConfig, input_shape: Shape, classes: int) -> None:
    """Run the module once, as evaluation would."""
    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    was_training = module.training
    module.eval()
    try:
        logits: Tensor = module(torch.zeros(2, *input_shape, device=device))
    except Exception as error:
        raise NetworkError(
            f"{network.title} does not take {shape_text(input_shape)} images: {imported.describe(error)}"
        ) from error
    module.train(was_training)
    if not isinstance(logits, Tensor) or tuple(logits.shape) != (2, classes):
        output = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise NetworkError(f"{network.title} gives {output} for 2 images; {classes} classes need (2, {classes})")


def published_weights(name: str) -> tuple[Mapping[str, Tensor], Path]:
    """torchvision's best weights of network `name`, under today's names, and the file that they are from.

    Raises:
        NetworkError: saying which file to put where, or that the file there is damaged.
    """
    path = _download(name)
    return _rename_densenet(weights.read(path)), path


def weights_file(name: str) -> tuple[str, Path]:
    """The address of torchvision's weights of network `name`, and the file in which they are kept."""
    from torchvision import models

    best = models.get_model_weights(name).DEFAULT
    return best.url, Path(torch.hub.get_dir()) / "checkpoints" / best.url.rpartition("/")[2]


def _download(name: str) -> Path:
    """The file of torchvision's weights, downloaded unless it exists, with its checksum verified."""
    url, path = weights_file(name)
    digits = torch.hub.HASH_REGEX.search(path.name)  # the first digits of the SHA-256 are part of the file's name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path), digits.group(1) if digits else None, progress=False)
        except (OSError, RuntimeError) as error:
            raise MissingWeights(
                f"pretrained: the weights of {name} cannot be downloaded ({error}); get {url} on a machine that can, "
                f"and put the file at {path}, or give its path as pretrained: PATH"
            ) from error
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digits and not digest.startswith(digits.group(1)):
        raise NetworkError(
            f"pretrained: {path} is damaged: its SHA-256 begins {digest[:8]}, its name says {digits.group(1)}; "
            "remove it, and it is downloaded again"
        )
    return path


def _rename_densenet(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """DenseNet's weights were published under older names; torchvision renames them in the same way."""
    renamed = OrderedDict((_OLD_DENSENET.sub(r"\1\2", name), tensor) for name, tensor in tensors.items())
    renamed._metadata = getattr(tensors, "_metadata", None)  # type: ignore[attr-defined]  # the layers' versions
    return renamed
