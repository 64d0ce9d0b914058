"""Verdicts: the rules, the sentences, and how often a verdict is wrong."""

import re

import numpy as np
import pytest
from scipy import stats

from striate.verdicts import ArmResults, Design, Metric, compare, label
from striate.verdicts.looks import Schedule
from striate.verdicts.seeds_needed import Promise

BANNED = re.compile(r"significan|proves|outperform|state of the art|sota", re.IGNORECASE)
TIME = Metric(name="training time", scale="ratio", unit="s", lower_is_better=True, on_test_images=False)
LOSS = Metric(name="test loss", scale="plain", lower_is_better=True)


def arm(name: str, accuracies, **more) -> ArmResults:
    return ArmResults(arm=name, values=dict(enumerate(accuracies)), test_digest="same", **more)


def judge(first, second, matters=0.5, **design):
    return compare([(first, second)], Design(matters=matters, **design))[0]


def verdict(differences, matters=0.5, **design):
    base = 90.0
    return judge(arm("new", [base + d for d in differences]), arm("old", [base] * len(differences)), matters, **design)


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
    """One look has 4 % of the 5 %; the rest is for seeds that are added later."""
    result = verdict([1.0, 1.2, 1.4])
    low, high = stats.t.interval(0.96, 2, 1.2, stats.sem([1.0, 1.2, 1.4]))
    assert (result.interval.low, result.interval.high) == pytest.approx((low, high))
    assert result.label == "clearly better"
    assert result.sentence == (
        f"With 3 seeds each, new beat old by 1.2 points of test accuracy (91.2 % against 90.0 %; 95 % interval {low:+.1f} to {high:+.1f}): "
        "clearly better on these test images, by more than the 0.5 points that matter."
    )


def test_every_word_has_its_sentence():
    cases = {
        "clearly better": [3.0, 3.1, 3.2],
        "better": [0.55, 0.7, 0.6],
        "clearly worse": [-3.0, -3.1, -3.2],
        "worse": [-0.55, -0.7, -0.6],
        "no difference that matters": [0.0, 0.1, -0.1],
        "undecided": [2.0, -2.0, 1.0],
        "too few seeds": [1.0, 2.0],
    }
    for word, differences in cases.items():
        result = verdict(differences)
        assert result.label == word
        assert word in result.sentence or word == "too few seeds"
        assert not BANNED.search(result.sentence + result.details)
    assert verdict([1.0]).sentence == (
        "new against old: +1.0 points with 1 seed each. No verdict: it needs 3 seeds or more."
    )


def test_undecided_says_how_many_seeds_would_do():
    result = verdict([0.3, -0.1, 0.35])
    promised = result.promise
    assert result.more_seeds == promised.certain - 3
    assert (
        f"A verdict is likely by {promised.likely:,} and certain by {promised.certain:,} seeds each, "
        f"if the standard deviation of the differences is at most {promised.spread:.2g} points."
    ) in result.sentence


def test_a_difference_near_the_edge_of_what_matters_gets_a_number_too():
    """The rule before: "the difference lies near the edge", and no way on."""
    result = verdict([0.1, 0.3, 0.5])
    assert result.label == "undecided"
    assert result.promise.certain > 3
    assert "certain by" in result.sentence


def test_a_number_of_seeds_that_nobody_runs_is_not_named():
    """The sentence before: certain by 1,646 seeds."""
    likely = verdict([2.1, 3.9, 6.0])
    assert likely.label == "undecided"
    assert likely.promise.certain > 200 > likely.promise.likely
    assert likely.sentence.endswith(
        f"undecided. A verdict is likely by {likely.promise.likely} seeds each; to be certain takes more than 200."
    )
    hard = verdict([5.0, -6.0, 2.0])
    assert hard.label == "undecided"
    assert min(hard.promise.certain, hard.promise.likely) > 200
    assert hard.sentence.endswith(
        "undecided. A verdict needs more than 200 seeds each: the difference is too small beside the spread of the seeds."
    )


def test_one_epoch_is_no_plural():
    epochs = Metric(name="epochs to 60 %", scale="ratio", unit="epochs", lower_is_better=True, on_test_images=False)
    result = judge(arm("new", [1.0] * 3), arm("old", [2.0, 3.0, 2.5]), 5, metric=epochs)
    assert "(1 epoch against 2.47 epochs; " in result.sentence
    seconds = judge(arm("new", [1.0] * 3), arm("old", [2.0, 3.0, 2.5]), 5, metric=TIME)
    assert "(1 s against 2.47 s; " in seconds.sentence


def test_one_point_matters():
    assert "by more than the 1 point that matters." in verdict([3.0, 3.1, 3.2], 1).sentence
    assert "by more than the 2 points that matter." in verdict([3.0, 3.1, 3.2], 2).sentence


def test_the_next_look_of_a_plan_is_named():
    result = verdict([2.0, -2.0, 1.0], seeds=tuple(range(8)), looks=(3, 5, 8))
    assert result.sentence.startswith("With 3 seeds each (the first of 3 looks), ")
    assert result.sentence.endswith("The next look is at 5 seeds.")


def test_fewer_images_than_the_question_needs_are_not_mended_by_seeds():
    """Of 100 test images each is a point, whatever the seeds."""
    both = judge(arm("new", [90.0] * 3, test_images=100), arm("old", [90.0] * 3, test_images=100))
    assert both.label == "undecided"
    assert both.more_seeds is None
    assert "One test image is 1.0 points: to be certain of 0.5, 400 test images are needed." in both.sentence


def test_few_images_and_a_large_difference_are_decided_by_seeds():
    def of(seeds: list[float]):
        return judge(
            arm("new", [90 + seed for seed in seeds], test_images=100), arm("old", [90.0] * len(seeds), test_images=100)
        )

    few = of([2.0, 6.0, 10.0])
    assert few.label == "undecided"
    assert few.sentence.endswith(f"A verdict is likely by {few.promise.likely} seeds each.")
    assert of([2.0, 6.0, 10.0] * 3).label == "clearly better"


def test_three_equal_differences_are_no_certainty():
    """300 test images: an accuracy comes in steps of a third of a point."""
    both = judge(arm("new", [90 + 2 / 3] * 3, test_images=300), arm("old", [90.0] * 3, test_images=300))
    assert both.label == "better"
    assert both.interval.half == pytest.approx(stats.t.isf(0.02, 2) / 3**0.5 * 6**-0.5 / 3)


@pytest.mark.parametrize("right", range(5000, 9999, 361))
def test_one_image_more_in_each_seed_is_undecided_at_every_accuracy(right):
    """Differences are whole images; as differences of percentages, the last bit decided between better and undecided."""
    images = 10_000
    new, old = (
        arm(name, [100 * (right + more) / images] * 5, test_images=images) for name, more in (("new", 1), ("old", 0))
    )
    both = judge(new, old, matters=0.001)
    assert (both.label, both.interval.low) == ("undecided", 0.0)
    assert both.p == pytest.approx(0.04)


def test_different_images_that_an_arm_declares_count_with_both_sampling_errors():
    grey = ArmResults(
        arm="grey", values={0: 80.0, 1: 81.0, 2: 80.5}, test_digest="grey", declares_data=True, test_images=400
    )
    color = ArmResults(arm="color", values={0: 85.0, 1: 86.0, 2: 85.6}, test_digest="color", test_images=400)
    result = judge(grey, color)
    z = stats.norm.isf(0.02)
    seeds = verdict([-5.0, -5.0, -5.1]).interval.half
    errors = z**2 * (80.5 * 19.5 + 85.5333 * 14.4667) / 400
    assert result.interval.half == pytest.approx((seeds**2 + errors) ** 0.5, rel=1e-2)
    assert result.label == "undecided"
    assert "the interval has the sampling errors of both." in result.sentence


def test_a_missing_run_leaves_the_comparison_without_a_verdict_and_is_named():
    new = ArmResults(
        arm="new",
        values={0: 90.0},
        missing={1: "failed (out of memory)", 2: "failed (out of memory)"},
        test_digest="same",
    )
    result = judge(new, arm("old", [90, 90, 90]))
    assert result.label == "not comparable"
    assert result.sentence == "new and old cannot be compared: new: seeds 1, 2 failed (out of memory)."
    assert result.interval is None


def test_a_run_that_is_missing_after_the_first_look_takes_no_verdict_away():
    new = ArmResults(arm="new", values=dict(enumerate([91.0, 91.2, 91.4])), missing={3: "failed"}, test_digest="same")
    result = judge(new, arm("old", [90.0] * 4), seeds=(0, 1, 2, 3), looks=(3, 4))
    assert result.label == "clearly better"
    assert result.sentence.endswith("Left out, as the other arm has no such run: seed 3 of old.")


def test_arms_tested_on_different_images_are_not_compared():
    other = ArmResults(arm="old", values={0: 90.0, 1: 90.0, 2: 90.0}, test_digest="different")
    result = judge(arm("new", [91, 91, 91]), other)
    assert result.sentence == "new and old cannot be compared: the two arms were tested on different images."


def test_times_are_compared_whatever_the_test_images():
    other = ArmResults(arm="old", values={0: 40.0, 1: 41.0, 2: 42.0}, test_digest="different")
    assert judge(arm("new", [30.0, 31.0, 32.0]), other, 5, metric=TIME).label == "clearly better"


def test_seeds_that_only_one_arm_has_are_named():
    result = judge(arm("new", [91.0, 91.2, 91.4, 99.0]), arm("old", [90.0, 90.0, 90.0]))
    assert len(result.differences) == 3
    assert result.left_out == {"new": (3,)}
    assert result.sentence.endswith("Left out, as the other arm has no such run: seed 3 of new.")


# --- runs that did not train


def test_a_run_that_diverged_is_an_outcome_and_no_accuracy():
    new = ArmResults(
        arm="new", values={0: 91.0, 2: 91.2, 3: 91.1, 4: 91.1}, failures={1: "diverged"}, test_digest="same"
    )
    result = judge(new, arm("old", [90.0] * 5))
    assert result.label == "clearly better"
    assert list(result.differences) == [0, 2, 3, 4]
    assert result.sentence.startswith("At the 4 seeds at which both trained, new beat old")
    assert result.sentence.endswith(
        "Failed to train: new in 1 of 5 runs (diverged: seed 1; a rate of 1 % to 72 %); "
        "old in none of 5 runs (a rate of at most 45 %)."
    )


def test_an_arm_of_which_no_run_trains_is_said_to_train_less_often():
    sigmoid = ArmResults(arm="sigmoid", values={}, failures=dict.fromkeys(range(5), "at chance"), test_digest="same")
    relu = arm("relu", [80.0] * 5)
    assert judge(sigmoid, relu).label == "trains less often"
    result = judge(relu, sigmoid)
    assert result.label == "trains more often"
    assert result.sentence.startswith(
        "relu trained in 5 of 5 runs, sigmoid in 0 of 5: relu trains more often. Too few runs trained to compare their numbers."
    )
    assert judge(relu, sigmoid, comparisons=20).label == "too few seeds"


def test_a_few_failures_are_too_few_to_say_so():
    new = ArmResults(arm="new", values={0: 91.0, 1: 91.0}, failures={2: "diverged"}, test_digest="same")
    result = judge(new, arm("old", [90.0] * 3))
    assert result.label == "too few seeds"
    assert "Failed to train: new in 1 of 3 runs" in result.sentence


def test_a_run_far_from_the_others_is_named_and_counted():
    result = judge(arm("new", [91.0, 91.1, 91.2, 91.1, 75.0]), arm("old", [90.0, 90.1, 89.9, 90.2, 90.0]))
    assert result.outliers == {"new": (4,)}
    assert "Far from the other runs of its arm, and counted: new, seed 4." in result.sentence
    assert len(result.differences) == 5


# --- several comparisons and looks


def test_the_intervals_of_several_comparisons_hold_together():
    better = arm("b", [91.0, 91.9, 90.5])
    old = arm("old", [90.0, 90.0, 90.0])
    design = Design(matters=0.1)
    alone = compare([(better, old)], design)[0]
    together = compare([(better, old), (arm("c", [90.3, 89.1, 91]), old), (arm("d", [90.1, 89.5, 91]), old)], design)[0]
    assert alone.interval.half == pytest.approx(_half([1.0, 1.9, 0.5], 0.04))
    assert together.interval.half == pytest.approx(_half([1.0, 1.9, 0.5], 0.04 / 3))
    assert "together with 2 other comparisons)" in together.sentence


def test_a_comparison_that_was_planned_counts_whether_it_is_judged_or_not():
    old = arm("old", [90.0, 90.0, 90.0])
    pairs = [(arm("b", [91.0, 91.9, 90.5]), old), (ArmResults(arm="c", values={}, missing={0: "missing"}), old)]
    assert compare(pairs, Design())[0].interval.half == pytest.approx(_half([1.0, 1.9, 0.5], 0.04 / 2))
    assert compare(pairs, Design(comparisons=5))[0].interval.half == pytest.approx(_half([1.0, 1.9, 0.5], 0.04 / 5))


def test_seeds_outside_the_plan_are_judged_by_the_sequence_and_it_is_said():
    values = [1.0, 1.4, 0.8, 1.1, 1.2, 0.9, 1.3, 1.0, 1.1, 1.2, 0.9, 1.1]
    planned, grown = verdict(values[:3], seeds=(0, 1, 2)), verdict(values, seeds=(0, 1, 2))
    schedule = Schedule((3,), 0.05)
    assert planned.interval.half == pytest.approx(_half(values[:3], 0.04))
    assert grown.interval.half == pytest.approx(schedule.factor(12) * np.std(values, ddof=1))
    assert grown.beyond_plan == 9
    assert "(9 of them outside the planned look, so judged by a rule that holds at any number)" in grown.sentence


def test_a_seed_more_takes_no_verdict_away():
    """The sequence is wide at first; what the planned look said still holds."""
    values = [1.0, 1.1, 0.9, 1.0, 1.05, 1.0]
    planned, grown = verdict(values[:5], seeds=tuple(range(5))), verdict(values, seeds=tuple(range(5)))
    assert grown.label == planned.label == "clearly better"
    assert (grown.interval.low, grown.interval.high) == (planned.interval.low, planned.interval.high)


def test_later_seeds_that_contradict_the_first_count_alone():
    values = [1.0, 1.1, 0.9, *[-3.0, -3.1, -2.9, -3.2] * 5]
    grown = verdict(values, seeds=(0, 1, 2))
    assert grown.interval.low < grown.interval.mean < grown.interval.high
    assert grown.label == "clearly worse"


def test_the_order_of_the_plan_decides_what_a_look_sees():
    """All finished seeds count; seeds that were planned first are the first look, whatever their numbers."""
    values = {9: 1.0, 1: 1.2, 5: 1.4, 0: 3.0, 2: 3.1}
    new = ArmResults(arm="new", values={seed: 90 + d for seed, d in values.items()}, test_digest="same")
    old = ArmResults(arm="old", values=dict.fromkeys(values, 90.0), test_digest="same")
    design = Design(seeds=(9, 1, 5), looks=(3,))
    assert len(compare([(new, old)], design)[0].differences) == 5
    as_planned = compare([(new, old)], design, up_to=3)[0]
    assert list(as_planned.differences) == [9, 1, 5]
    assert as_planned.interval.half == pytest.approx(_half([1.0, 1.2, 1.4], 0.04))


# --- images


def test_a_verdict_about_new_images_is_said_apart():
    rng = np.random.default_rng(0)
    easy = rng.normal(0, 1, 2000)
    tables = {  # what is easy differs a little from arm to arm
        name: np.stack([own + shift + rng.normal(0, 0.2, 2000) for _ in range(6)]) > -1
        for name, shift in (("new", 0.1), ("old", 0.0))
        for own in [easy + rng.normal(0, 0.3, 2000)]
    }
    new, old = (
        arm(name, 100 * right.mean(1), right=dict(enumerate(right)), test_images=2000) for name, right in tables.items()
    )
    result = judge(new, old, matters=2.5)
    assert (result.label, result.new_images_label) == ("clearly better", "better")
    assert result.new_images.half > result.interval.half
    assert (
        "clearly better on these test images, by more than the 2.5 points that matter. On new test images: better"
        in (result.sentence)
    )
    agreed = judge(new, old, matters=1)
    assert (
        "clearly better on these test images and on new ones, by more than the 1 point that matters" in agreed.sentence
    )
    few = judge(*(
        arm(a.arm, 100 * tables[a.arm][:, :200].mean(1), right=dict(enumerate(tables[a.arm][:, :200])), test_images=200)
        for a in (new, old)
    ), matters=2.5)  # fmt: skip
    assert few.new_images.half > 2 * result.new_images.half


def test_pairing_and_sampling_error_are_said_beside_the_verdict():
    rng = np.random.default_rng(1)
    luck = rng.normal(0, 1, 8)
    new, old = arm("new", 91 + luck + rng.normal(0, 0.1, 8)), arm("old", 90 + luck + rng.normal(0, 0.1, 8))
    result = judge(new, old)
    assert result.spread.correlation > 0.9
    assert result.spread.saved > 8
    assert f"pairing saved about {result.spread.saved:,.0f} seeds for each arm." in result.details
    unrelated = judge(arm("new", 91 + rng.normal(0, 1, 30)), arm("old", 90 + rng.normal(0, 1, 30)))
    assert abs(unrelated.spread.saved) < 15
    counted = judge(arm("new", [90.0, 90.5, 91.0], test_images=200), arm("old", [90.0, 90.0, 90.0], test_images=200))
    assert "Sampling error of the test part: +-4.1 points for one accuracy" in counted.details


def test_a_sampling_error_is_not_printed_as_zero():
    """Each run is wrong about images of its own, so the choice of the images makes no difference between the arms."""
    tables = {
        name: np.stack([np.arange(500) // 50 != (seed + shift) % 10 for seed in range(3)])
        for name, shift in (("new", 0), ("old", 5))
    }
    new, old = (
        arm(name, 100 * right.mean(1), right=dict(enumerate(right)), test_images=500) for name, right in tables.items()
    )
    details = judge(new, old, matters=20).details
    assert "+-0.0" not in details
    assert "and next to none for the difference" in details


# --- other metrics


def test_a_lower_loss_is_better():
    result = judge(arm("new", [0.31, 0.32, 0.315]), arm("old", [0.41, 0.42, 0.414]), 0.01, metric=LOSS)
    assert result.label == "clearly better"
    assert result.interval.high < 0
    assert "new beat old by 0.100 of test loss (0.315 against 0.415;" in result.sentence


def test_times_are_compared_as_ratios():
    result = judge(arm("new", [52.0, 54.0, 53.0]), arm("old", [40.0, 41.0, 41.5]), 5, metric=TIME)
    logs = np.log([52 / 40, 54 / 41, 53 / 41.5])
    low, high = (100 * np.expm1(end) for end in (logs.mean() - _half(logs, 0.04), logs.mean() + _half(logs, 0.04)))
    assert (result.interval.low, result.interval.high) == pytest.approx((low, high))
    assert result.label == "clearly worse"
    assert "new fell short of old by a factor of 1.298 in training time" in result.sentence
    assert "times): clearly worse, by more than the 5 % that matter." in result.sentence
    assert result.band == pytest.approx((-100 / 21, 5))


# --- numbers


@pytest.mark.parametrize("matters", [0.5, 0.05, 0.001])
def test_digits_follow_what_matters(matters):
    text = verdict([x * matters for x in (3.0, 3.1, 3.2)], matters).sentence
    shown = re.search(r"interval \+(\S+) to \+(\S+)\)", text)
    assert float(shown[1]) > matters
    assert len(shown[1].partition(".")[2]) >= -np.log10(matters) - 1e-9


@pytest.mark.parametrize("scale", [1e-4, 1e-3, 0.01, 0.04])
def test_no_interval_is_printed_as_minus_zero_to_plus_zero(scale):
    text = verdict([-scale, scale, 0.0]).sentence
    assert not re.search(r"[-+]0\.0+ |[-+]0\.0+\)", text)


def test_an_interval_that_excludes_zero_is_not_printed_with_an_end_of_zero():
    result = verdict([1.0, 1.0, 1.52])
    low = re.search(r"interval (\S+) to", result.sentence)[1]
    assert (float(low) > 0) == (result.interval.low > 0)


# --- how often a verdict is wrong


def test_false_alarms_are_as_rare_as_promised(monkeypatch):
    """No difference at all: 'better' or 'worse' in at most 5 % of 2,000 studies, whatever the seeds."""
    monkeypatch.setattr("striate.verdicts.verdict.promise", lambda *_, **__: Promise(certain=9, spread=1.0, likely=9))
    rng = np.random.default_rng(4)
    for n in (3, 5):
        words = [verdict(rng.normal(0, 1, n)).label for _ in range(1000)]
        assert sum("better" in word or "worse" in word for word in words) / 1000 < 0.05


def test_an_arm_that_sometimes_diverges_is_not_called_worse():
    """Equal means, and a tenth of the runs of one arm diverge: as accuracies at chance they made a third of studies wrong."""
    rng = np.random.default_rng(5)
    wrong = 0
    for _ in range(600):
        values, is_failed = 90 + rng.normal(0, 0.3, (2, 8)), rng.random(8) < 0.1
        new = ArmResults(
            arm="new",
            values={s: v for s, v in enumerate(values[0]) if not is_failed[s]},
            failures={s: "diverged" for s in range(8) if is_failed[s]},
            test_digest="same",
        )
        wrong += judge(new, arm("old", values[1])).label not in {"undecided", "no difference that matters"}
    assert wrong / 600 < 0.05


@pytest.mark.parametrize("rate", [0.3, 0.6, 0.9])
def test_arms_that_fail_equally_often_are_rarely_told_apart(rate):
    rng = np.random.default_rng(6)
    wrong = 0
    for _ in range(400):
        arms = []
        for name in ("new", "old"):
            failed = rng.random(6) < rate
            values = {s: 90 + rng.normal() for s in range(6) if not failed[s]}
            arms.append(
                ArmResults(
                    arm=name, values=values, failures={s: "diverged" for s in range(6) if failed[s]}, test_digest="same"
                )
            )
        wrong += judge(*arms).label not in {"undecided", "too few seeds", "no difference that matters"}
    assert wrong / 400 < 0.06


def test_a_large_difference_is_found():
    rng = np.random.default_rng(5)
    words = [verdict(rng.normal(3, 0.5, 5)).label for _ in range(300)]
    assert words.count("clearly better") / 300 > 0.95


def _half(values, level: float) -> float:
    return stats.t.isf(level / 2, len(values) - 1) * stats.sem(values)
