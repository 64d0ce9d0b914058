"""The answers of a run's network to the test images, from predictions.npz."""

import zipfile
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from striate.runs import layout
from striate.runs.reader import Run


@dataclass(frozen=True, eq=False)
class Answers:
    """For each test image, in the order of the data set's test part: label, answer and probabilities."""

    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    confidence: NDArray[np.float32]  # the probability of the answer
    of_label: NDArray[np.float32]  # the probability of the label
    loss: NDArray[np.float32]  # cross-entropy

    @property
    def right(self) -> NDArray[np.bool_]:
        return self.predicted == self.labels


def answers_of(run: Run) -> Answers | None:
    """None where the file is missing or broken, or where a logit is not finite."""
    found = _logits(run)
    return None if found is None else _answers(*found)


def probabilities_of(run: Run) -> tuple[NDArray[np.float64], NDArray[np.int64]] | None:
    """The probabilities of all classes for each test image, and the labels; None as for `answers_of`."""
    found = _logits(run)
    if found is None:
        return None
    logits, labels = found
    weights = np.exp(logits - logits.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True), labels


def _logits(run: Run) -> tuple[NDArray[np.float64], NDArray[np.int64]] | None:
    try:
        # np.load alone would leave the file of a torn archive open.
        with (run.folder / layout.PREDICTIONS).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            logits, labels = arrays["test_logits"], arrays["test_labels"]
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        return None
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not len(labels) or not np.isfinite(logits).all():
        return None
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= logits.shape[1]:
        return None
    return logits.astype(np.float64), labels.astype(np.int64)


def _answers(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> Answers:
    shifted = logits - logits.max(1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(1))
    loss = log_sum - shifted[np.arange(len(labels)), labels]
    return Answers(
        labels=labels,
        predicted=logits.argmax(1),
        confidence=np.exp(-log_sum).astype(np.float32),
        of_label=np.exp(-loss).astype(np.float32),
        loss=loss.astype(np.float32),
    )
