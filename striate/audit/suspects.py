"""Labels that may be wrong, from what networks say of images that they have not trained on.

Confident learning: a network is confident in a class where its probability is at least the mean that images with this label get.
An image that is confidently of another class than its label is a suspect. C. G. Northcutt, L. Jiang and I. L. Chuang,
Confident Learning: Estimating Uncertainty in Dataset Labels, 2021. Of the labels of CIFAR-10's test part that it suspects, people found one
in five wrong (Northcutt, Athalye and Mueller, Pervasive Label Errors, 2021): a suspect is to be looked at, and nothing more.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class Suspect:
    """An image whose label may be wrong."""

    image: int  # its row
    label: int
    answer: int  # the class that the networks are confident in
    of_label: float  # mean probability over the runs
    of_answer: float
    agreeing: int  # runs that answer so
    runs: int


def suspects(probabilities: NDArray[np.floating], labels: NDArray[np.int64]) -> tuple[Suspect, ...]:
    """The suspects, the surest first. `probabilities`: runs x images x classes, of images that no run trained on."""
    mean = probabilities.mean(0, dtype=np.float64)
    rows = np.arange(len(labels))
    thresholds = np.array(
        [mean[labels == k, k].mean() if (labels == k).any() else np.inf for k in range(mean.shape[1])]
    )
    confident = np.where(mean >= thresholds, mean, -1)
    answers = confident.argmax(1)
    margin = mean[rows, labels] - mean[rows, answers]
    found = np.flatnonzero((confident.max(1) >= 0) & (answers != labels) & (margin < 0))
    agreeing = (probabilities.argmax(2) == answers).sum(0)
    return tuple(
        Suspect(
            image=int(row),
            label=int(labels[row]),
            answer=int(answers[row]),
            of_label=float(mean[row, labels[row]]),
            of_answer=float(mean[row, answers[row]]),
            agreeing=int(agreeing[row]),
            runs=len(probabilities),
        )
        for row in found[np.argsort(margin[found], kind="stable")]
    )
