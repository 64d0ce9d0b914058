"""Scores of a network on a split, from its logits and the labels alone.

All of it follows from predictions.npz, so it can be computed again without the network.
"""

import numpy as np

from striate.runs.records import SplitScores
from striate.verdicts import outcomes

TOP = 5
BINS = 15  # of the calibration error: Guo et al., arXiv 1706.04599
MOST_CLASSES = 200  # a larger confusion matrix would be most of the summary's file


def scores(logits: np.ndarray, labels: np.ndarray) -> SplitScores:
    """Accuracy per class, confusion, top-5 and calibration of logits (N, K) against labels (N,).

    Shares are 0 to 1. `per_class` has None for a class without images; `balanced_accuracy` is the mean of the others.
    `confusion[i][j]` counts images of class i that were predicted as j; it is left out above 200 classes.
    `calibration_error` is None where a logit is not finite. `top5` is left out up to five classes, where it would always be 1.
    """
    classes = logits.shape[1]
    predicted = logits.argmax(1)
    scored = {
        "per_class": per_class(predicted, labels, classes),
        "balanced_accuracy": balanced_accuracy(predicted, labels, classes),
        "calibration_error": calibration_error(logits, labels) if np.isfinite(logits).all() else None,
    }
    if classes > TOP:
        scored["top5"] = top_k(logits, labels, TOP)
    if classes <= MOST_CLASSES:
        scored["confusion"] = confusion(predicted, labels, classes).tolist()
    return SplitScores.model_validate(scored)


def majority_share(labels: np.ndarray) -> float:
    """The accuracy of always predicting the most common class: the level of chance."""
    return float(np.bincount(labels).max() / len(labels))


def balanced_accuracy(predicted: np.ndarray, labels: np.ndarray, classes: int) -> float:
    """The mean of the accuracies of the classes that have images: each class counts alike, however large it is."""
    return float(np.mean([share for share in per_class(predicted, labels, classes) if share is not None]))


def is_at_chance(*splits: tuple[np.ndarray, np.ndarray]) -> bool:
    """Whether logits tell the classes apart no better than a guess, on the images of all splits (logits, labels) together."""
    classes = splits[0][0].shape[1]
    tables = [confusion(logits.argmax(1), labels, classes) for logits, labels in splits]
    return outcomes.is_at_chance(np.sum(tables, axis=0).tolist())


def confusion(predicted: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """(K, K): how many images of class i were predicted as j."""
    return np.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def top_k(logits: np.ndarray, labels: np.ndarray, k: int) -> float:
    """The share of images whose label is among the k largest logits. Of equal logits, the first ones count as larger."""
    largest = np.argsort(-logits, axis=1, kind="stable")[:, :k]
    return float((largest == labels[:, None]).any(1).mean())


def calibration_error(logits: np.ndarray, labels: np.ndarray) -> float:
    """The expected calibration error: |accuracy - confidence| in 15 equal bins of confidence, weighted by images."""
    confidence = probabilities(logits).max(1)
    is_correct = logits.argmax(1) == labels
    # A bin excludes its lower and includes its upper edge, as in the paper.
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.bincount(bins, is_correct - confidence, BINS)
    return float(np.abs(gaps).sum() / len(labels))


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax in float64, (N, K)."""
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    exponentials = np.exp(shifted)
    return exponentials / exponentials.sum(1, keepdims=True)


def per_class(predicted: np.ndarray, labels: np.ndarray, classes: int) -> list[float | None]:
    """The accuracy of each class; None for one without images."""
    counts = np.bincount(labels, minlength=classes)
    correct = np.bincount(labels[predicted == labels], minlength=classes)
    return [float(hits / count) if count else None for hits, count in zip(correct, counts, strict=True)]
