"""What a network's outputs on a split amount to: plain arithmetic on logits and labels.

Everything here follows from predictions.npz, so that it can be computed again without the network.
"""

import numpy as np

from striate.runs.records import SplitScores

TOP = 5
BINS = 15  # of the calibration error: Guo et al., arXiv 1706.04599
MOST_CLASSES = 200  # a larger confusion matrix would outweigh the rest of the summary


def scores(logits: np.ndarray, labels: np.ndarray) -> SplitScores:
    """Accuracy per class, confusion, top-5 and calibration of logits (N, K) against labels (N,).

    Shares are 0 to 1. `per_class` has None for a class without images; `confusion[i][j]` counts images of class i that
    were called j, and is left out above 200 classes; `calibration_error` is None where a logit is not finite; `top5` is
    left out where it would always be 1.
    """
    classes = logits.shape[1]
    said = logits.argmax(1)
    scored = {
        "per_class": _per_class(said, labels, classes),
        "calibration_error": calibration_error(logits, labels) if np.isfinite(logits).all() else None,
    }
    if classes > TOP:
        scored["top5"] = top_k(logits, labels, TOP)
    if classes <= MOST_CLASSES:
        scored["confusion"] = confusion(said, labels, classes).tolist()
    return SplitScores.model_validate(scored)


def confusion(said: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """How often class i was called j, (K, K)."""
    return np.bincount(labels * classes + said, minlength=classes * classes).reshape(classes, classes)


def top_k(logits: np.ndarray, labels: np.ndarray, k: int) -> float:
    """The share of images whose label is among the k largest logits; of equal logits, the first come first."""
    first = np.argsort(-logits, axis=1, kind="stable")[:, :k]
    return float((first == labels[:, None]).any(1).mean())


def calibration_error(logits: np.ndarray, labels: np.ndarray) -> float:
    """The expected calibration error: |accuracy - confidence| over 15 equal bins of confidence, weighted by images."""
    confidence = probabilities(logits).max(1)
    right = logits.argmax(1) == labels
    # A bin is open below and closed above, as in the paper.
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.bincount(bins, right - confidence, BINS)
    return float(np.abs(gaps).sum() / len(labels))


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax in float64, (N, K)."""
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    exponentials = np.exp(shifted)
    return exponentials / exponentials.sum(1, keepdims=True)


def _per_class(said: np.ndarray, labels: np.ndarray, classes: int) -> list[float | None]:
    counts = np.bincount(labels, minlength=classes)
    right = np.bincount(labels[said == labels], minlength=classes)
    return [float(hit / count) if count else None for hit, count in zip(right, counts, strict=True)]
