"""Claims against measurements: each word where it is due, and how often one is wrong."""

import numpy as np
import pytest

from striate.verdicts import ArmResults, Design, Metric
from striate.verdicts.claims import Range, Statement, constant, judge_claim

ACCURACY = Metric()
TIME = Metric(name="training time", scale="ratio", unit="s", lower_is_better=True, on_test_images=False)


def arm(name, values, **more):
    return ArmResults(arm=name, values=dict(enumerate(values)), **more)


def judge(*statements, **design):
    return judge_claim("it is so", "somebody", statements, Design(comparisons=len(statements), **design))


def of_value(results, target, tolerance=0.5, seeds=()):
    return Statement(
        text=f"{results.arm} {target:g} %",
        first=results,
        second=constant(f"{target:g} %", target, results, seeds),
        metric=ACCURACY,
        range=Range.around(0.0, tolerance),
        target=target,
        tolerance=tolerance,
        is_of_one_arm=True,
    )


def better(first, second, matters=0.5, metric=ACCURACY):
    limits = Range.better(matters, lower_is_better=metric.lower_is_better)
    return Statement(text="a is better than b", first=first, second=second, metric=metric, range=limits)


@pytest.mark.parametrize(
    ("target", "word"),
    [(88.0, "holds"), (88.3, "holds"), (87.0, "does not hold"), (91.0, "does not hold"), (88.6, "undecided")],
)
def test_a_stated_accuracy_is_near_the_mean_or_not(target, word):
    claim = judge(of_value(arm("a", [87.9, 88.1, 88.0, 88.05]), target))
    assert claim.word == word
    (judged,) = claim.statements
    assert judged.measured == pytest.approx(88.0125)
    assert judged.interval.low < 88.0125 < judged.interval.high


def test_the_sentence_has_what_was_measured_and_what_was_stated():
    claim = judge(of_value(arm("a", [87.9, 88.1, 88.0, 88.0]), 87.0))
    assert str(claim) == (
        "'it is so': does not hold. a 87 %: does not hold. Measured: 88.0 % (95 % interval 87.9 to 88.1; 4 seeds, "
        "single runs 87.9 to 88.1); stated: 87.0 % +- 0.5."
    )


@pytest.mark.parametrize(
    ("differences", "word"),
    [
        ([1.0, 1.2, 1.1], "holds"),
        ([0.2, 0.21, 0.22], "holds"),  # by less than what matters, and the sentence says so
        ([-1.0, -1.2, -1.1], "does not hold"),
        ([0.1, -0.1, 0.0], "does not hold"),
        ([3.0, -1.0, 1.0], "undecided"),
        ([1.0, 1.1], "undecided"),
    ],
)
def test_a_stated_order_is_that_of_the_difference(differences, word):
    claim = judge(better(arm("a", [80 + d for d in differences]), arm("b", [80.0] * len(differences))))
    assert claim.word == word
    assert ("less than the 0.5 points that matter" in claim.sentence) == (max(differences) < 0.5 and word == "holds")


def test_a_shorter_time_is_better():
    quick, slow = arm("a", [10.0, 11.0, 10.5]), arm("b", [20.0, 21.0, 20.5])
    assert judge(better(quick, slow, metric=TIME)).word == "holds"
    assert judge(better(slow, quick, metric=TIME)).word == "does not hold"


def test_a_ratio_is_judged_as_a_ratio():
    slow, quick = arm("a", [13.0, 13.1, 12.9, 13.0]), arm("b", [10.0, 10.0, 10.0, 10.0])
    for times, word in {1.3: "holds", 1.5: "does not hold"}.items():
        low, high = 100 * (times - 0.05 - 1), 100 * (times + 0.05 - 1)
        statement = Statement(
            text=f"a takes {times} times as long as b",
            first=slow,
            second=quick,
            metric=TIME,
            range=Range(low=low, high=high, below=low, above=high),
            target=times,
            tolerance=0.05,
        )
        claim = judge(statement)
        assert claim.word == word
        assert f"stated: {times:.2f} +- 0.05 times" in claim.sentence
        assert claim.statements[0].sentence.count("1.3000 times the training time") <= 1


def test_one_wrong_part_makes_a_claim_wrong_and_one_that_cannot_be_compared_comes_next():
    good, bad = of_value(arm("a", [88.0, 88.1, 88.0]), 88), of_value(arm("b", [70.0, 70.1, 70.0]), 75)
    missing = of_value(ArmResults(arm="c", values={0: 88.0}, missing={1: "missing", 2: "missing"}), 88, seeds=(0, 1, 2))
    assert judge(good).word == "holds"
    assert judge(good, bad).word == "does not hold"
    claim = judge(good, missing, seeds=(0, 1, 2))
    assert claim.word == "not comparable"
    assert "c: seeds 1, 2 missing" in claim.sentence


def test_a_claim_without_anything_to_measure_is_not_comparable():
    claim = judge()
    assert claim.word == "not comparable"
    assert claim.sentence == "It states no number and no relation that could be measured."


def test_runs_that_did_not_train_are_not_in_the_mean():
    results = ArmResults(arm="a", values={0: 88.0, 1: 88.1, 2: 87.9, 3: 88.0}, failures={4: "diverged"})
    assert judge(of_value(results, 88), seeds=(0, 1, 2, 3, 4)).word == "holds"
    nothing = ArmResults(arm="a", values={0: 88.0}, failures={1: "diverged", 2: "diverged"})
    claim = judge(of_value(nothing, 88), seeds=(0, 1, 2))
    assert claim.word == "undecided"
    assert "1 seed that trained" in claim.sentence


def test_what_never_trains_is_not_better():
    """With so many seeds it is known beyond chance, though there is no number to compare."""
    good = arm("a", [88.0 + n / 10 for n in range(9)])
    bad = ArmResults(arm="b", values={}, failures=dict.fromkeys(range(9), "at chance"))
    assert judge(better(good, bad)).word == "holds"
    assert judge(better(bad, good)).word == "does not hold"
    equal = Statement(text="a is as good as b", first=good, second=bad, metric=ACCURACY, range=Range.around(0.0, 0.5))
    assert judge(equal).word == "undecided"


def test_the_interval_of_an_accuracy_stays_within_0_and_100():
    (judged,) = judge(of_value(arm("a", [99.0, 80.0, 99.5]), 95)).statements
    assert judged.interval.high == 100


@pytest.mark.parametrize(
    ("truth", "wrong"), [(0.5, "does not hold"), (-0.5, "does not hold"), (0.55, "holds"), (0.0, "does not hold")]
)
def test_a_wrong_word_is_rare(truth, wrong):
    """2,000 studies of five seeds: a true statement is refuted, or a false one confirmed, in at most 5 %."""
    noise = np.random.default_rng(7).normal(truth, 0.15, (2000, 5))
    words = [judge(of_value(arm("a", 88 + row), 88)).word for row in noise]
    assert words.count(wrong) <= 0.05 * len(words)
    assert words.count("undecided") < len(words) or truth


def test_statements_hold_together():
    """Of ten statements that are all just false, any is confirmed in at most 5 % of studies."""
    noise = np.random.default_rng(8).normal(0.5, 0.15, (150, 10, 5))
    wrong = 0
    for study in noise:
        claim = judge(*(of_value(arm("a", 88 + row), 88, 0.499) for row in study))
        wrong += any(judged.word == "holds" for judged in claim.statements)
    assert wrong <= 0.08 * len(noise)
