"""Planted label errors are found by confident learning, and a hard class is not suspected as a whole."""

import numpy as np

from striate.audit.suspects import suspects


def answers(rng, true, classes, sure):
    """Probabilities of three runs that know the true classes, each with its own noise."""
    logits = sure * np.eye(classes)[true] + rng.normal(0, 1, (3, len(true), classes))
    weights = np.exp(logits)
    return weights / weights.sum(2, keepdims=True)


def test_planted_label_errors_come_first():
    rng = np.random.default_rng(0)
    true = rng.integers(0, 5, 1000)
    labels = true.copy()
    wrong = rng.permutation(1000)[:30]
    labels[wrong] = (labels[wrong] + 1) % 5
    found = suspects(answers(rng, true, 5, 6), labels)
    assert {one.image for one in found[:20]} <= set(wrong.tolist())
    assert len({one.image for one in found} & set(wrong.tolist())) >= 25
    assert len(found) <= 33
    first = found[0]
    assert (first.label, first.answer) == (labels[first.image], true[first.image])
    assert first.agreeing == first.runs == 3
    assert [one.of_label - one.of_answer for one in found] == sorted(one.of_label - one.of_answer for one in found)


def test_a_class_of_which_all_runs_are_unsure_is_judged_by_its_own_mean():
    """Class 1 gets 0.55 on average. An image of class 0 with 0.6 for class 1 is confidently of class 1, by that mean."""
    probabilities = np.array([[[0.95, 0.05]] * 9 + [[0.4, 0.6]] + [[0.45, 0.55]] * 10])
    labels = np.array([0] * 10 + [1] * 10)
    (one,) = suspects(probabilities, labels)
    assert (one.image, one.answer) == (9, 1)


def test_no_suspects_where_labels_and_answers_agree():
    labels = np.arange(40) % 4
    assert suspects(np.eye(4)[labels][None], labels) == ()


def test_a_class_without_images_is_no_answer():
    probabilities = np.array([[[0.1, 0.2, 0.7], [0.9, 0.05, 0.05], [0.1, 0.8, 0.1]]])
    assert all(one.answer != 2 for one in suspects(probabilities, np.array([0, 0, 1])))
