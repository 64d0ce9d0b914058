"""A run's network as a file for other programs, kept only if it gives the run's classes on the whole test part.

The file is opened again from the disk and compared with the network in the engine, which shares none of its code from pixels
to probabilities. Where a class differs, or a probability by more than `TOLERANCE`, the file is removed.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from striate.core.errors import DataError, RunError, StriateError
from striate.core.optional import check_package, quiet, require
from striate.data import load
from striate.data.dataset import Images
from striate.deploy.classifier import softmax
from striate.deploy.model_file import facts_of
from striate.deploy.trained import Trained
from striate.engines.protocol import PIXELS_AT_ONCE
from striate.runs import Run, layout, reader
from striate.runs.files import write_atomic

Format = Literal["onnx", "torch"]
FORMATS: tuple[Format, ...] = get_args(Format)
TOLERANCE = 1e-3  # between probabilities in float32: sums in another order differ by about 1e-6
REASON = "to compare an exported file with the network; nothing is chosen by it"


@dataclass(frozen=True)
class Exported:
    """A file that was written, and how it compares on the test images."""

    file: Path
    images: int
    largest_difference: float  # between two probabilities
    same_as_run: int  # images with the class that the run's own predictions have


def export(
    folder: Path, kind: str = "onnx", file: Path | None = None, source: str = "", note: Callable[[str], None] = print
) -> Exported:
    """Write the network of the run in `folder`; `source` says where its images are now, if they were moved.

    Raises:
        RunError: for a run that is not finished, a network that cannot be exported, or a file that does not agree with it.
        DataError: for images that are not those of the run.
        MissingExtra: without the extra `export`.
    """
    if kind not in FORMATS:
        raise RunError(f"--format: must be one of {', '.join(FORMATS)}, got '{kind:.40}'")
    if kind == "onnx":
        for package in ("onnx", "onnxscript", "onnxruntime"):
            check_package(package, extra="export", why="Exporting to ONNX")
    run = reader.read(folder)
    trained = Trained.of(run)
    file = file or folder / {"onnx": layout.MODEL_ONNX, "torch": layout.MODEL_TORCH}[kind]
    images = _test_images(run, source)
    compared: list[Exported] = []

    def write(temporary: Path) -> None:
        reference = _write(trained, kind, images, temporary, note)
        compared.append(_compared(run, file, reference, _from_disk(kind, temporary, images)))

    write_atomic(file, write)
    return compared[0]


def metadata(trained: Trained) -> dict[str, str]:
    """What a program needs to know to use the file, as texts; what only the network in the engine needs is left out."""
    facts = facts_of(trained)
    return {
        **{key: facts[key] for key in ("classes", "input", "colors", "resize", "bits", "prepare")},
        "output": "probabilities (softmax); normalization is inside",
        **{key: facts[key] for key in ("run", "seed", "striate")},
        "weights_sha256": hashlib.sha256(trained.weights.read_bytes()).hexdigest(),
    }


def _test_images(run: Run, source: str) -> Images:
    config = run.job.data.model_copy(update={"source": source}) if source else run.job.data
    dataset = load(config)
    if dataset.digest != run.job.digest:
        raise DataError(
            f"{config.source}: its images are not those that {run.folder} was trained with; say where they are by --data"
        )
    return dataset.open_test(REASON).images


def _write(trained: Trained, kind: str, images: Images, path: Path, note: Callable[[str], None]) -> np.ndarray:
    """Write the file; returns the probabilities that the engine gives, in float32."""
    from striate.deploy.pytorch import export as pytorch
    from striate.deploy.pytorch.network import Network

    network = Network(trained, "cpu", is_plain=True)
    if trained.environment and trained.environment.precision == "bf16":
        note("The run was trained in bf16; the file computes in float32.")
    writer = pytorch.write_onnx if kind == "onnx" else pytorch.write_torch
    example = images if len(images) > 1 else np.concatenate([images, images])
    try:
        with quiet():
            writer(network, example, metadata(trained), path)
    except (StriateError, OSError, MemoryError):
        raise
    except Exception as error:  # exporters raise anything for a network that they do not cover
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise RunError(
            f"{trained.folder}: its network cannot be exported to {kind} ({reason}); try the other --format"
        ) from error
    return softmax(network.logits(images))


def _from_disk(kind: str, path: Path, images: Images) -> np.ndarray:
    """The probabilities that the file gives, opened by its own runtime."""
    batch = max(1, PIXELS_AT_ONCE // (images.shape[1] * images.shape[2]))
    batches = [images[start : start + batch] for start in range(0, len(images), batch)]
    if kind == "onnx":
        runtime = require("onnxruntime", extra="export", why="Checking an ONNX file")
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return np.concatenate([session.run(None, {name: np.ascontiguousarray(each)})[0] for each in batches])
    from striate.deploy.pytorch import export as pytorch

    module, _ = pytorch.read_torch(path)
    return np.concatenate([pytorch.run_torch(module, each) for each in batches])


def _compared(run: Run, file: Path, expected: np.ndarray, given: np.ndarray) -> Exported:
    """The comparison.

    Raises:
        RunError: when the file gives another class, or probabilities beyond the tolerance.
    """
    difference = float(np.abs(expected - given).max())
    wrong = int((expected.argmax(1) != given.argmax(1)).sum())
    if wrong or not difference <= TOLERANCE:  # also where it is not a number
        found = (
            f"{wrong:,} of {len(given):,} test images get another class, probabilities differ by up to {difference:.1e}"
        )
        raise RunError(
            f"{file}: is not kept, because it must give the classes of {run.folder}: {found}; try the other --format"
        )
    with np.load(run.folder / layout.PREDICTIONS) as arrays:
        same = int((arrays["test_logits"].argmax(1) == given.argmax(1)).sum())
    return Exported(file, len(given), difference, same)
