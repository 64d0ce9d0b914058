"""model.safetensors: a trained network in one file, which needs neither the run nor the images.

The tensors are those of the run, byte by byte. Everything else is text in the file's metadata, so that any program that
reads safetensors sees it: `network` and `recipe` as in a study file, `classes`, `input`, `resize`, `mean` and `std`. Nothing
in it is unpickled or executed.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from striate.core import __version__
from striate.core.errors import RunError
from striate.deploy.trained import Rule, Trained
from striate.nets import NetworkConfig
from striate.recipes import Recipe
from striate.runs import RunEnvironment, layout
from striate.runs.files import disk_errors, write_atomic

FORMAT = 1
HEAD = struct.Struct("<Q")  # safetensors: the length of the JSON text that describes the tensors, which follows
LONGEST_HEAD = 100_000_000  # bytes, as the format says
# What decides how a network computes, and with what; the machine's name is nobody's business.
KEPT_OF_ENVIRONMENT = ("striate", "python", "numpy", "torch", "engine", "device", "precision", "convolution")


def find(path: Path) -> Path | None:
    """The model file that a path means, itself or in its folder; None if there is none."""
    if path.suffix == ".safetensors":
        return path
    return path / layout.MODEL_WEIGHTS if (path / layout.MODEL_WEIGHTS).is_file() else None


def write(trained: Trained, path: Path) -> None:
    """Write the network with all that it needs, atomically.

    Raises:
        RunError: when the weights cannot be read, or the disk refuses.
    """
    head, tensors = _split(trained.weights)
    facts = {**facts_of(trained), "format": f"{FORMAT}", "tensors_sha256": hashlib.sha256(tensors).hexdigest()}
    text = json.dumps({**head, "__metadata__": facts}, ensure_ascii=False).encode()
    text += b" " * (-len(text) % HEAD.size)  # tensors are aligned
    write_atomic(path, partial(_write, content=HEAD.pack(len(text)) + text + tensors))


def read(path: Path) -> Trained:
    """The network in a model file.

    Raises:
        RunError: for a file that is damaged, no model of Striate, or of a version that this one does not read.
    """
    head, tensors = _split(path)
    facts = head.get("__metadata__") or {}
    if "format" not in facts or "network" not in facts:
        raise RunError(
            f"{path}: holds weights and no model of striate; give a run's folder, or a model that 'striate train' wrote"
        )
    if facts["format"] != f"{FORMAT}":
        raise RunError(
            f"{path}: has format {facts['format'][:20]}, and this version of striate reads {FORMAT}; "
            f"use the version that wrote it ({facts.get('striate', 'unknown')[:20]})"
        )
    if facts.get("tensors_sha256") != hashlib.sha256(tensors).hexdigest():
        raise RunError(f"{path}: is damaged: its weights do not have the checksum in its metadata; copy it again")
    try:
        return _trained(path, facts)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{path}: is not read by this version of striate ({_first_reason(error)}); "
            f"use the version that wrote it ({facts.get('striate', 'unknown')[:20]})"
        ) from error


def facts_of(trained: Trained) -> dict[str, str]:
    """What a program needs to know to use the network, as texts; lists and records as JSON."""
    rule = trained.rule
    channels, height, width = rule.shape
    resize = {"short_side": rule.size, "filter": "bilinear, antialiased", "crop": "center", "exif": "upright"}
    shape = {"layout": "NHWC", "type": "uint8", "height": height, "width": width, "channels": channels}
    known = trained.environment.model_dump(mode="json") if trained.environment else {}
    return {
        "classes": json.dumps(list(rule.classes), ensure_ascii=False),
        "input": json.dumps(shape),
        "colors": "gray" if channels == 1 else "RGB",
        "resize": json.dumps(resize if rule.size else None),
        "bits": str(rule.bits),
        "prepare": rule.sentence,
        "mean": json.dumps(trained.mean),
        "std": json.dumps(trained.std),
        "network": json.dumps(trained.network.without_places().model_dump(mode="json", exclude_defaults=True)),
        **({"code": json.dumps(dict(trained.code))} if trained.code else {}),
        "recipe": json.dumps(trained.recipe.model_dump(mode="json", exclude_defaults=True)),
        "environment": json.dumps({key: known[key] for key in KEPT_OF_ENVIRONMENT if known.get(key)}),
        "data_digest": trained.digest,
        "run": trained.fingerprint,
        "seed": str(trained.seed),
        "striate": __version__,
    }


def _trained(path: Path, facts: Mapping[str, str]) -> Trained:
    shape, resize = json.loads(facts["input"]), json.loads(facts["resize"])
    channels, height, width = (int(shape[key]) for key in ("channels", "height", "width"))
    classes = tuple(map(str, json.loads(facts["classes"])))
    mean, std = (tuple(map(float, json.loads(facts[key]))) for key in ("mean", "std"))
    if len(mean) != channels or len(std) != channels or len(classes) < 2:
        raise ValueError(f"{len(classes)} classes, {len(mean)} means and {len(std)} deviations of {channels} channels")
    return Trained(
        folder=path.parent,
        weights=path,
        network=NetworkConfig.model_validate(json.loads(facts["network"])),
        code={str(name): str(digest) for name, digest in json.loads(facts.get("code", "{}")).items()},
        recipe=Recipe.model_validate(json.loads(facts["recipe"])),
        environment=RunEnvironment.model_validate(json.loads(facts["environment"])),
        rule=Rule(classes, (channels, height, width), resize and int(resize["short_side"]), int(facts["bits"])),
        mean=mean,
        std=std,
        digest=facts["data_digest"],
        seed=int(facts["seed"]),
        fingerprint=facts["run"],
    )


def _first_reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return f"no {error}" if isinstance(error, KeyError) else (str(error).splitlines() or [type(error).__name__])[0]


def _split(path: Path) -> tuple[dict[str, Any], bytes]:
    """The description of a safetensors file, and the bytes of its tensors."""
    with disk_errors(path):
        try:
            content = path.read_bytes()
        except FileNotFoundError as error:
            raise RunError(f"{path}: there is no such file") from error
    damaged = RunError(f"{path}: is damaged or no safetensors file; copy it again")
    if len(content) < HEAD.size:
        raise damaged
    (length,) = HEAD.unpack_from(content)
    if length > min(LONGEST_HEAD, len(content) - HEAD.size):
        raise damaged
    try:
        head = json.loads(content[HEAD.size : HEAD.size + length])
        end = max((int(each["data_offsets"][1]) for name, each in head.items() if name != "__metadata__"), default=0)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
        raise damaged from error
    tensors = content[HEAD.size + length :]
    if len(tensors) != end:
        raise damaged
    return head, tensors


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
