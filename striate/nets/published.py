"""The weights that torchvision publishes: the file of each network, downloaded once, with its checksum checked."""

import hashlib
import re
from pathlib import Path

import torch
from torch import Tensor

from striate.core.errors import NetworkError
from striate.nets import weights

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
