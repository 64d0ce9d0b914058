"""The pretrained network that `striate train` may use: torchvision's with its published weights, a file's, or one's own."""

import re
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from striate.core.config import suggest
from striate.core.errors import NetworkError

# Both are small enough to be fine-tuned on a CPU; the second costs about a thirtieth of the first.
BY_TIME = ("resnet18", "mobilenet_v3_small")
REACH_SECONDS = 5.0
IMPORT = "import:"


@dataclass(frozen=True)
class Backbone:
    """A pretrained network, as a study file says it, and where its weights are from."""

    network: dict[str, Any]
    title: str
    is_pretrained: bool = True


def given(network: str, weights: str) -> Backbone | None:
    """What `--network` and `--weights` mean; None: neither is given, or a network without weights of one's own.

    Raises:
        NetworkError: for a file that does not exist, or whose network nobody named.
    """
    if not network and not weights:
        return None
    path = str(_existing(weights)) if weights else ""
    if network.startswith(IMPORT):
        reference = network.removeprefix(IMPORT).strip()
        title = f"{reference} with the weights of {Path(path).name}" if path else f"{reference} with its own weights"
        return Backbone({"import": reference, **({"pretrained": path} if path else {})}, title)
    name = _checked(network) if network else _name_in(Path(path))
    title = f"{name} of torchvision with the weights of {Path(path).name}" if path else _title(name)
    return Backbone({"torchvision": name, "pretrained": path or True}, title)


def published(name: str) -> Backbone:
    """torchvision's network with its weights, which are downloaded unless they are here.

    Raises:
        NetworkError: when they cannot be had.
    """
    from striate.nets.pytorch import pretrained

    url, path = pretrained.weights_file(name)
    with _patience(REACH_SECONDS):
        if not path.exists():
            try:
                urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=REACH_SECONDS).close()
            except OSError as error:
                reason = getattr(error, "reason", None) or error
                raise NetworkError(f"the weights of {name} cannot be downloaded ({reason})") from error
        pretrained.published_weights(name)
    return Backbone({"torchvision": name, "pretrained": True}, _title(name))


def starts_trained(network: dict[str, Any], input_shape: tuple[int, int, int], classes: int) -> bool:
    """Whether a module of one's own comes with trained weights: two seeds give the same ones, but for the head."""
    from striate.nets import NetworkConfig
    from striate.nets.pytorch.pretrained import draws_weights

    return not draws_weights(NetworkConfig.model_validate(network), input_shape, classes)


def _title(name: str) -> str:
    return f"{name} of torchvision with its ImageNet weights"


def _checked(name: str) -> str:
    from striate.nets.pytorch.pretrained import classifiers

    if name not in (names := classifiers()):
        raise NetworkError(
            f"--network: '{name:.60}' is not a classifier of torchvision; {suggest(name, names)} "
            "A module of your own is given as import:MODULE:FACTORY"
        )
    return name


def _existing(weights: str) -> Path:
    path = Path(weights).expanduser()
    if not path.is_file():
        raise NetworkError(f"--weights: there is no file {weights!r}; give the path of a file of weights")
    return path.resolve()


def _name_in(path: Path) -> str:
    """The network that a file of weights is named after, as torchvision names its files."""
    from striate.nets.pytorch.pretrained import classifiers

    stem = re.sub(r"[^a-z0-9]+", "_", path.stem.lower())
    names = [name for name in classifiers() if f"{stem}_".startswith(f"{name}_")]
    if not names:
        raise NetworkError(
            f"--weights: the name of {path.name} does not begin with a network of torchvision; say which by --network NAME, "
            "or --network import:MODULE:FACTORY for a module of your own"
        )
    return max(names, key=len)


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """Connections that are silent for so long are given up."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
