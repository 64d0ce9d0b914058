"""A finished study as one small file, and its folder back from it: what verdicts and figures need, without weights.

The file is JSON, compressed with xz. It has the study as it was run, and for each run its description, environment, summary and
epochs. Instead of logits it keeps which test images each run was right about, a bit each. `restore` writes run folders again,
so that the program judges them as it judges any study.
"""

import base64
import json
import lzma
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from striate.core import config
from striate.report.study_facts import local_paths
from striate.report.wording import shortened
from striate.runs import Run, layout
from striate.runs.predictions import answers_of
from striate.studies.results import Results
from striate.verdicts.wording import short_list

FORMAT = 1
SUFFIX = ".json.xz"
DIGITS = 5  # of the numbers of an epoch
# Columns of an epoch that no figure and no metric reads.
_LEFT_OUT = {"learning_rate", "gradient_norm", "dead_units", "validation_balanced_accuracy"}


def pack(folder: Path, *, is_incomplete: bool = False) -> tuple[str, bytes]:
    """The name of the study in `folder`, and its file. `is_incomplete`: also while runs are missing; the page says how many.

    Raises:
        ValueError: while runs are missing, so that half a study becomes an answer only on request.
    """
    results = Results.read(folder)
    if not (results.is_complete or is_incomplete):
        missing = short_list([f"{row.arm} seed {row.seed} ({row.state})" for row in results.rows if not row.is_result])
        raise ValueError(f"{folder}: has no result of {missing}; run the study to its end, or say --incomplete")
    study = config.read(folder / layout.STUDY).data
    names = local_paths(study)
    runs = [
        {"arm": row.arm, "seed": row.seed, **_run(row.run, names)} for row in results.rows if row.run and row.is_result
    ]
    labels: dict[str, str] = {}
    for row in results.rows:
        answers = answers_of(row.run) if row.run else None
        if answers is not None and row.data:
            labels[row.data.test_digest] = _text(answers.labels.astype("<u2"))
    content = {"format": FORMAT, "study": _without_paths(study, names), "labels": labels, "runs": runs}
    packed = lzma.compress(
        json.dumps(content, ensure_ascii=False, allow_nan=False).encode(), preset=9 | lzma.PRESET_EXTREME
    )
    return results.study.name, packed


def _run(run: Run, names: Mapping[str, str]) -> dict[str, Any]:
    """One run; `right` is absent where its answers to the test images are not in its folder."""
    answers = answers_of(run)
    content: dict[str, Any] = {
        "run": dict(run.description),
        "environment": run.environment.model_dump(mode="json") if run.environment else None,
        "summary": run.summary.model_dump(mode="json") if run.summary else None,
        "network": run.network.to_json() if run.network else None,
        "epochs": _columns(run),
    }
    content = _without_paths(content, names)
    return content if answers is None else {**content, "right": _text(np.packbits(answers.right))}


def _columns(run: Run) -> dict[str, list[Any]]:
    """The epochs column by column, rounded."""
    rows = [row.to_json() for row in run.metrics]
    names = [name for name in dict.fromkeys(key for row in rows for key in row) if name not in _LEFT_OUT]
    return {name: [_rounded(row.get(name)) for row in rows] for name in names}


def _rounded(value: Any) -> Any:
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def _text(array: np.ndarray) -> str:
    return base64.b64encode(array.tobytes()).decode()


def _without_paths(content: Any, names: Mapping[str, str]) -> Any:
    """`content` without a path of the machine that it was made on."""
    if isinstance(content, Mapping):
        return {key: _without_paths(item, names) for key, item in content.items()}
    if isinstance(content, list | tuple):
        return [_without_paths(item, names) for item in content]
    return names.get(content, shortened(content)) if isinstance(content, str) else content


def read(path: Path) -> dict[str, Any]:
    """The content of a file.

    Raises:
        ValueError: for a file that this version does not read.
    """
    content = json.loads(lzma.decompress(path.read_bytes()))
    if content["format"] != FORMAT:
        raise ValueError(f"{path}: has format {content['format']}, this version reads {FORMAT}; add the study again")
    return content


def restore(path: Path, folder: Path) -> Path:
    """Write the study of the file `path` into `folder`, and return the study's folder there."""
    content = read(path)
    study = folder / path.name.removesuffix(SUFFIX)
    study.mkdir(parents=True)
    (study / layout.STUDY).write_text(config.dump(content["study"]), encoding="utf-8")
    for run in content["runs"]:
        _write_run(layout.run_folder(study, run["arm"], run["seed"]), run, content["labels"])
    return study


def _write_run(folder: Path, run: Mapping[str, Any], labels: Mapping[str, str]) -> None:
    folder.mkdir(parents=True)
    # JSON is YAML.
    files = {layout.RUN: "run", layout.ENVIRONMENT: "environment", layout.SUMMARY: "summary", layout.NETWORK: "network"}
    for name, key in files.items():
        if run[key] is not None:
            (folder / name).write_text(json.dumps(run[key]), encoding="utf-8")
    columns = run["epochs"]
    lines = [json.dumps(dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]
    (folder / layout.METRICS).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    if "right" in run:
        of_images = labels[run["summary"]["data"]["test_digest"]]
        _write_answers(folder / layout.PREDICTIONS, run["right"], of_images, run["summary"]["classes"])


def _write_answers(path: Path, right: str, labels: str, classes: int) -> None:
    """Logits with the label's class highest where the run was right. Which class it called the others is not in the file."""
    of_images = np.frombuffer(base64.b64decode(labels), "<u2").astype(np.int64)
    bits = np.frombuffer(base64.b64decode(right), np.uint8)
    is_right = np.unpackbits(bits, count=len(of_images)).astype(bool)
    logits = np.zeros((len(of_images), classes), np.float32)
    logits[np.arange(len(of_images)), np.where(is_right, of_images, (of_images + 1) % classes)] = 1
    np.savez(path, test_logits=logits, test_labels=of_images)
