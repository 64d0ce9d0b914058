"""Verdicts: the rules, the sentences, and how often a verdict is wrong."""

import re

import numpy as np
import pytest
from scipy import stats

from striate.verdicts import ArmResults, compare, label

BANNED = re.compile(r"significan|proves|outperform|state of the art|sota", re.IGNORECASE)


def arm(name: str, accuracies, **more) -> ArmResults:
    return ArmResults(arm=name, accuracy=dict(enumerate(accuracies)), test_digest="same", **more)


def verdict(differences, matters=0.5, **more):
    base = 90.0
    return compare(
        [(arm("new", [base + d for d in differences], **more), arm("old", [base] * len(differences)))], matters
    )[0]


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (-0.4, 0.4, "no difference that matters"),
        (0.1, 0.4, "no difference that matters"),
        (-0.5, 0.5, "no difference that matters"),
        (0.6, 0.9, "clearly better"),
        (-0.9, -0.6, "clearly worse"),
        (0.1, 0.9, "better"),
        (0.5, 0.9, "better"),
        (-0.9, -0.1, "worse"),
        (-0.1, 0.9, "undecided"),
        (-0.9, 0.1, "undecided"),
        (-2, 2, "undecided"),
        (0.0, 0.9, "undecided"),
    ],
)
def test_the_first_rule_that_holds_decides(low, high, word):
    assert label(low, high, 0.5) == word


def test_the_sentence_says_the_numbers():
    result = verdict([1.0, 1.2, 1.4])
    low, high = stats.t.interval(0.95, 2, 1.2, stats.sem([1.0, 1.2, 1.4]))
    assert result.label == "clearly better"
    assert result.sentence == (
        f"With 3 seeds each, new beat old by 1.2 points of test accuracy (91.2 % against 90.0 %; 95 % interval {low:+.1f} to {high:+.1f}): "
        "clearly better, by more than the 0.5 points that matter."
    )


def test_every_word_has_its_sentence():
    cases = {
        "clearly better": [3.0, 3.1, 3.2],
        "better": [0.5, 0.7, 0.6],
        "clearly worse": [-3.0, -3.1, -3.2],
        "worse": [-0.5, -0.7, -0.6],
        "no difference that matters": [0.0, 0.1, -0.1],
        "undecided": [2.0, -2.0, 1.0],
        "too few seeds": [1.0, 2.0],
    }
    for word, differences in cases.items():
        result = verdict(differences)
        assert result.label == word
        assert word in result.sentence or word == "too few seeds"
        assert not BANNED.search(result.sentence)
    assert verdict([1.0]).sentence == (
        "new against old: +1.0 points with 1 seed each. No verdict: it needs 3 seeds or more."
    )


def test_undecided_says_how_many_seeds_would_do():
    result = verdict([2.0, -1.0, 1.0])
    assert result.more_seeds is not None
    n = 3 + result.more_seeds
    spread = np.std([2.0, -1.0, 1.0], ddof=1)
    assert stats.t.ppf(0.975, n - 1) * spread / n**0.5 <= 0.5 < stats.t.ppf(0.975, n - 2) * spread / (n - 1) ** 0.5
    assert f"About {n} seeds each ({n - 3} more) would narrow this to +-0.5 points." in result.sentence


def test_an_interval_that_is_narrow_already_is_not_said_to_need_seeds():
    result = verdict([0.1, 0.3, 0.5])
    assert (result.label, result.more_seeds) == ("undecided", 0)
    assert result.sentence.endswith(
        "narrower than +-0.5 points already; the difference lies near the edge of what matters."
    )


def test_fewer_images_than_the_question_needs_are_not_mended_by_seeds():
    """Of 100 test images each is a point, whatever the seeds."""
    both = compare([(arm("new", [90.0] * 3, test_images=100), arm("old", [90.0] * 3, test_images=100))], 0.5)[0]
    assert both.label == "undecided"
    assert both.more_seeds is None
    assert both.sentence.endswith(
        "One test image is 1.0 points: to see 0.5, more test images are needed, not more seeds."
    )


def test_few_images_and_a_large_difference_are_decided_by_seeds():
    def of(seeds: list[float]):
        pair = (
            arm("new", [90 + seed for seed in seeds], test_images=100),
            arm("old", [90.0] * len(seeds), test_images=100),
        )
        return compare([pair], 0.5)[0]

    few = of([2.0, 6.0, 10.0])
    assert few.label == "undecided"
    assert few.more_seeds
    assert few.sentence.endswith(f"({few.more_seeds} more) would narrow this to +-1 points.")
    assert of([2.0, 6.0, 10.0] * 3).label == "clearly better"


def test_three_equal_differences_are_no_certainty():
    """300 test images: an accuracy comes in steps of a third of a point."""
    arms = (arm("new", [90.6] * 3, test_images=300), arm("old", [90.0] * 3, test_images=300))
    (both,) = compare([arms], 0.5)
    assert both.label == "better"
    assert both.interval.high - both.interval.low == pytest.approx(2 / 3)


def test_arms_that_declare_other_images_are_compared_and_it_is_said():
    grey = ArmResults(arm="grey", accuracy={0: 80.0, 1: 81.0, 2: 80.5}, test_digest="grey", declares_data=True)
    color = ArmResults(arm="color", accuracy={0: 85.0, 1: 86.0, 2: 85.6}, test_digest="color")
    result = compare([(grey, color)], 0.5)[0]
    assert result.label == "clearly worse"
    assert result.sentence.endswith("Each was tested on the images that its arm declares.")


def test_a_missing_run_leaves_the_comparison_without_a_verdict_and_is_named():
    new = ArmResults(
        arm="new",
        accuracy={0: 90.0},
        missing={1: "failed (out of memory)", 2: "failed (out of memory)"},
        test_digest="same",
    )
    result = compare([(new, arm("old", [90, 90, 90]))], 0.5)[0]
    assert result.label == "not comparable"
    assert result.sentence == "new and old cannot be compared: new: seeds 1, 2 failed (out of memory)."
    assert result.interval is None


def test_arms_tested_on_different_images_are_not_compared():
    other = ArmResults(arm="old", accuracy={0: 90.0, 1: 90.0, 2: 90.0}, test_digest="different")
    result = compare([(arm("new", [91, 91, 91]), other)], 0.5)[0]
    assert result.sentence == "new and old cannot be compared: the two arms were tested on different images."


def test_diverged_runs_are_counted_in_the_sentence():
    result = verdict([-80.0, 0.1, 0.2], diverged=1)
    assert result.sentence.endswith("Diverged, and counted as chance: 1 run of new.")


def test_runs_that_learned_nothing_are_named_in_the_sentence():
    assert verdict([0.0, 0.1, 0.0], at_chance=3).sentence.endswith(
        "Learned nothing (no better than chance): 3 runs of new."
    )


def test_many_comparisons_are_tested_more_strictly_together():
    better = arm("b", [91.0, 91.9, 90.5])
    old = arm("old", [90.0, 90.0, 90.0])
    alone = compare([(better, old)], 0.1)[0]
    together = compare([(better, old), (arm("c", [90.3, 89.1, 91]), old), (arm("d", [90.1, 89.5, 91]), old)], 0.1)[0]
    assert alone.interval.confidence == pytest.approx(0.95)
    assert together.interval.confidence == pytest.approx(1 - 0.05 / 3)
    assert together.interval.low < alone.interval.low


def test_a_comparison_that_cannot_be_made_counts_too():
    """It was planned, and may be judged once its runs are there: no other verdict may change then."""
    old = arm("old", [90.0, 90.0, 90.0])
    pairs = [(arm("b", [91.0, 91.9, 90.5]), old), (ArmResults(arm="c", accuracy={}, missing={0: "missing"}), old)]
    assert compare(pairs, 0.1)[0].interval.confidence == pytest.approx(1 - 0.05 / 2)


def test_false_alarms_are_as_rare_as_promised():
    """No difference at all: 'better' or 'worse' in at most 6 % of 2,000 studies, whatever the seeds."""
    rng = np.random.default_rng(4)
    for n in (3, 5):
        words = [verdict(rng.normal(0, 1, n)).label for _ in range(2000)]
        assert sum("better" in word or "worse" in word for word in words) / 2000 < 0.06


def test_a_large_difference_is_found():
    rng = np.random.default_rng(5)
    words = [verdict(rng.normal(3, 0.5, 5)).label for _ in range(300)]
    assert words.count("clearly better") / 300 > 0.95
