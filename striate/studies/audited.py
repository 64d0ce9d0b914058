"""The audit of a study's images, kept in its folder, and the verdicts without the test images that training has seen.

The record names rows of the test part, so it holds for the datasets whose digests it has, and for no others.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Literal

import numpy as np
from pydantic import ValidationError

from striate.audit.suspects import Suspect, suspects
from striate.core.records import Record
from striate.runs import layout
from striate.runs.explained import weights_file
from striate.runs.files import write_json
from striate.runs.predictions import probabilities_of
from striate.studies.metrics import TEST_ACCURACY
from striate.studies.results import Results
from striate.studies.rows import RunRow
from striate.studies.stages import judge, judging
from striate.verdicts import ArmResults, Verdict


class DatasetAudit(Record):
    """What an audit found in one dataset of a study."""

    digest: str
    name: str
    near: bool  # whether near duplicates were looked for
    test_images: int
    twins: tuple[int, ...]  # rows of the test part with a copy or near duplicate in training
    findings: tuple[tuple[str, str], ...]  # terms and sentences


class StudyAudit(Record):
    """The audits of a study's datasets."""

    format: Literal[1] = 1
    datasets: tuple[DatasetAudit, ...]

    def of(self, digest: str) -> DatasetAudit | None:
        """The audit of the dataset with this digest."""
        return next((one for one in self.datasets if one.digest == digest), None)


def write_audit(folder: Path, audit: StudyAudit) -> None:
    """Keep an audit in a study's folder.

    Raises:
        RunError: when the disk refuses.
    """
    write_json(folder / layout.AUDIT, audit.model_dump(mode="json"))


def read_audit(folder: Path) -> StudyAudit | None:
    """The audit in a study's folder; None where there is none that this version can read."""
    try:
        return StudyAudit.model_validate(json.loads((folder / layout.AUDIT).read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError):
        return None


def verdicts_without_twins(results: Results, audit: StudyAudit) -> tuple[tuple[Verdict, ...], str]:
    """The verdicts on the test images without a twin in training, or why there are none.

    Seeds, looks and levels are those of the study. An image is left out for both arms of a comparison if it has a twin in the
    training images of any arm: both are judged on the same images.
    """
    if results.study.metric != TEST_ACCURACY:
        return (), f"the study judges {results.study.metric}, of which single images are not known"
    found = {arm: results.measured_accuracy(arm) for arm in _compared(results)}
    twins = _twins(results, audit)
    if twins is None:
        return (), "the runs used other images than those of the audit"
    if not twins:
        return (), "no test image has a twin in training"
    if any(set(arm.values) - set(arm.right) for arm in found.values()):
        return (), "runs lack their answers to single test images (predictions.npz)"
    without = {name: _without(arm, twins) for name, arm in found.items()}
    if any(arm is None for arm in without.values()):
        return (), "the answers of the runs are to other test images than the audit's"
    kept: Mapping[str, ArmResults] = {name: arm for name, arm in without.items() if arm}
    return tuple(judge(results.study, judging(results.study, results.design), kept)), ""


def suspected_labels(results: Results, arm: str) -> tuple[Suspect, ...]:
    """Test images whose label may be wrong, from the runs of an arm that trained; none where no run has its answers."""
    found = [each for row in results.of(arm) if row.trained and row.run and (each := probabilities_of(row.run))]
    same = [
        shares for shares, labels in found if np.array_equal(labels, found[0][1]) and shares.shape == found[0][0].shape
    ]
    return suspects(np.stack(same), found[0][1]) if found else ()


def network_for(results: Results, digest: str) -> tuple[RunRow | None, str]:
    """The run whose network is asked about the images of this digest, and in words which it is, or why there is none.

    Of the arm with the best mean test accuracy, the run of the median one (of an even number the lower one in the middle). Only runs
    that trained on these images and have their weights count.
    """
    found: list[list[RunRow]] = []
    is_trained = False
    for arm in results.arms:
        rows = [row for row in results.of(arm.name) if row.trained and row.data and row.data.digest == digest]
        is_trained |= bool(rows)
        rows = [row for row in rows if row.test_accuracy is not None and row.run and weights_file(row.run.folder)]
        if rows:
            found.append(sorted(rows, key=lambda row: (row.test_accuracy or 0.0, row.seed)))
    if not found:
        return None, "no run folder has weights" if is_trained else "no run has trained on these images yet"
    best = max(found, key=lambda rows: fmean(row.test_accuracy or 0.0 for row in rows))
    row = best[(len(best) - 1) // 2]
    whole = f"the median of {len(best)} runs" if len(best) > 1 else "its one run"
    return row, f"{row.arm}, seed {row.seed} ({whole} of the arm with the best mean test accuracy)"


def _compared(results: Results) -> list[str]:
    names = {name for one in results.study.comparisons for name in (one.first, one.second)}
    return [arm.name for arm in results.arms if arm.name in names]


def _twins(results: Results, audit: StudyAudit) -> frozenset[int] | None:
    """The rows with a twin in any dataset of the runs that finished; None if one of these was not audited."""
    digests = {row.data.digest for row in results.rows if row.data and row.trained}
    audits = [audit.of(digest) for digest in digests]
    return None if None in audits else frozenset(row for one in audits if one for row in one.twins)


def _without(arm: ArmResults, twins: frozenset[int]) -> ArmResults | None:
    """The arm on the test images that are no twins; None where a run has answered too few images for these rows."""
    sizes = {len(right) for right in arm.right.values()}
    if any(size <= max(twins) for size in sizes) or len(twins) in sizes:
        return None
    left = sorted(twins)
    right = {seed: np.delete(answers, left) for seed, answers in arm.right.items()}
    values = {seed: 100 * float(right[seed].mean()) for seed in arm.values}
    return replace(arm, values=values, right=right, test_images=arm.test_images - len(left))
