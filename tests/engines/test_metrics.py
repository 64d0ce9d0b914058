"""Scores against scikit-learn and against sums written out."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, top_k_accuracy_score

from striate.engines.metrics import (
    BINS,
    calibration_error,
    confusion,
    is_at_chance,
    scores,
    top_k,
)
from striate.engines.protocol import Evaluation, TrainState


@pytest.fixture
def predictions():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 7, 400)
    logits = rng.normal(size=(400, 7)).astype(np.float32)
    logits[np.arange(400), labels] += 1.5
    return logits, labels


def test_confusion_and_per_class_are_scikit_learn_s(predictions):
    logits, labels = predictions
    theirs = confusion_matrix(labels, logits.argmax(1))
    assert (confusion(logits.argmax(1), labels, 7) == theirs).all()
    scored = scores(logits, labels)
    assert np.array_equal(scored.confusion, theirs)
    assert scored.per_class == pytest.approx((theirs.diagonal() / theirs.sum(1)).tolist())


def test_the_balanced_accuracy_is_scikit_learn_s(predictions):
    logits, labels = predictions
    theirs = balanced_accuracy_score(labels, logits.argmax(1))
    assert scores(logits, labels).balanced_accuracy == pytest.approx(theirs)
    assert Evaluation(logits, labels).balanced_accuracy == pytest.approx(theirs)
    only = labels != 3  # a class without images has no say
    assert scores(logits[only], labels[only]).balanced_accuracy == pytest.approx(
        np.mean([theirs_of for theirs_of in scores(logits[only], labels[only]).per_class if theirs_of is not None])
    )
    broken = np.where(labels[:, None] == 2, np.nan, logits)
    assert Evaluation(broken, labels).balanced_accuracy < theirs


def test_guessing_is_at_chance_and_knowing_is_not():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [970, 30])[rng.permutation(1000)]

    def at_chance(answers, labels=labels):
        half = len(labels) // 2
        return is_at_chance(*((np.eye(2)[answers[part]], labels[part]) for part in (slice(half), slice(half, None))))

    assert at_chance(np.zeros(1000, int))  # 97 % right
    assert not at_chance(labels)
    assert not at_chance(
        np.where(rng.random(1000) < 0.9, labels, 1 - labels)
    )  # less accurate, and it knows both classes
    few = np.repeat([0, 1], [100, 1])
    assert not at_chance(np.zeros(101, int), few)  # one image decides nothing
    # Guessing each class at random is rarely taken for knowledge.
    assert np.mean([not at_chance(rng.integers(0, 2, 1000)) for _ in range(400)]) < 0.03


@pytest.mark.parametrize("k", [1, 3, 5])
def test_top_k_is_scikit_learn_s(predictions, k):
    assert top_k(*predictions, k) == pytest.approx(top_k_accuracy_score(predictions[1], predictions[0], k=k))


def test_the_calibration_error_is_the_paper_s_sum(predictions):
    logits, labels = predictions
    exponentials = [[math.exp(x) for x in row] for row in logits.tolist()]
    confidences = [max(row) / sum(row) for row in exponentials]
    total = 0.0
    for m in range(BINS):
        inside = [i for i, c in enumerate(confidences) if m / BINS < c <= (m + 1) / BINS]
        right = sum(logits[i].argmax() == labels[i] for i in inside)
        total += abs(right - sum(confidences[i] for i in inside)) / len(labels)
    assert calibration_error(logits, labels) == pytest.approx(total, abs=1e-6)


def test_calibration_knows_the_certain_and_the_calibrated():
    sure_and_wrong = np.array([[50.0, 0.0]] * 4)
    assert calibration_error(sure_and_wrong, np.ones(4, int)) == pytest.approx(1.0)
    half = np.zeros((4, 2))
    assert calibration_error(half, np.array([0, 0, 1, 1])) == pytest.approx(0.0)


def test_a_logit_that_is_no_number_leaves_the_rest():
    scored = scores(np.array([[np.inf, 0.0], [1.0, 0.0]]), np.array([0, 0]))
    assert (scored.calibration_error, scored.per_class) == (None, (1.0, None))


def test_a_class_without_images_has_no_accuracy():
    assert scores(np.eye(3)[[0, 1]], np.array([0, 0])).per_class == (0.5, None, None)


def test_what_would_always_be_one_or_too_large_is_left_out():
    assert "top5" not in scores(np.zeros((2, 5)), np.array([0, 1])).model_dump()
    assert "confusion" not in scores(np.zeros((2, 300)), np.array([0, 1])).model_dump()


def test_the_loss_is_torch_s_cross_entropy(predictions):
    logits, labels = predictions
    theirs = torch.nn.functional.cross_entropy(torch.from_numpy(logits).double(), torch.from_numpy(labels))
    assert Evaluation(*predictions).loss == pytest.approx(float(theirs), rel=1e-12)
    assert not math.isfinite(Evaluation(np.full((2, 3), np.nan), np.array([0, 1])).loss)
    assert Evaluation(np.full((2, 3), np.nan), np.array([0, 0])).accuracy == 0.0


def test_the_best_epoch_is_the_most_accurate_and_of_equals_the_surest():
    train_state = TrainState()
    is_best = []
    for epoch, result in enumerate([(0.5, 1.0), (0.5, 1.0), (0.5, 0.9), (0.4, 0.1), (0.6, 2.0)], 1):
        train_state.epoch = epoch
        is_best.append(train_state.update_best(*result))
    assert is_best == [True, False, True, False, True]
    assert (train_state.best_epoch, train_state.best_accuracy, train_state.best_loss) == (5, 0.6, 2.0)
