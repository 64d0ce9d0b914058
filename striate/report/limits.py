"""The last section of the page: what the study cannot show, and the terms that the page uses."""

from striate.report.contents import section
from striate.report.figures import arm_accuracy
from striate.report.metric_words import metric_words
from striate.report.wording import MINUS, count, listed, plain, whole
from striate.studies.results import Results
from striate.verdicts import Metric
from striate.verdicts.intervals import accuracy_margin
from striate.verdicts.looks import FEWEST_SEEDS

_TEST_ACCURACY = Metric()

Terms = tuple[tuple[str, str], ...]


def limits(results: Results) -> tuple[str, ...]:
    """What this study cannot show, in one or two sentences each."""
    lines = [
        _data(results),
        _seeds(results),
        *_test_images(results),
        *_groups(results),
        _validation(),
        _settings(results),
    ]
    if not results.is_complete:
        lines.append("The study is not complete. The missing runs may change every result above.")
    return tuple(lines)


def glossary(results: Results) -> Terms:
    """The terms of this page; those of comparisons only where some are planned."""
    words = metric_words(results)
    matters = words.size(results.study.matters, f"{results.study.matters:g}")
    return (
        *_common_terms(results),
        *(comparison_terms(matters, metric=words.metric) if results.study.comparisons else ()),
    )


def _common_terms(results: Results) -> Terms:
    return (
        ("arm", "One variant in the study: its data, network and recipe."),
        ("seed", "The number that fixes the initial weights, the order of the images and the augmentation of a run."),
        ("run", "One training of one arm with one seed."),
        ("validation", "Images held out from the training data. They choose the epoch whose weights are kept."),
        ("test", _test(results)),
        ("standard deviation", "The typical distance of a single run from the mean of its arm."),
        ("95 % confidence interval",
         "A range around the mean. In 95 of 100 such studies it contains the mean over all "
         "possible seeds. It says nothing about other images."),
        ("band", "The 95 % confidence interval of the mean, drawn at each epoch."),
        ("diverged",
         "The loss or the weights were no longer finite numbers. The run has no accuracy; it counts as one that did not train."),
        ("chance", "The accuracy of always answering the most common class."),
        ("at chance",
         "The run finished, and tells the classes apart no better than a guess (exact tests). It counts as one that did not train."),
    )  # fmt: skip


def _test(results: Results) -> str:
    if results.study.watch_test:
        return "Images evaluated in every epoch, because the study asked for it (watch_test). They decide nothing."
    return "Images used only for the test accuracies on this page. They decide nothing."


def comparison_terms(m: str, source: str = "set in the study file", metric: Metric = _TEST_ACCURACY) -> Terms:
    """`m`: what matters, with its unit."""
    better, worse = (f"{MINUS}{m}", f"+{m}") if metric.lower_is_better else (f"+{m}", f"{MINUS}{m}")
    sides = ("below", "above") if metric.lower_is_better else ("above", "below")
    point = ("point", "Percentage point, the unit of a difference: 91 % is 1 point more than 90 %.")
    images = (
        "on these test images, on new ones",
        "The confidence interval over seeds says what holds on these test images. Another interval knows that the images are a "
        "sample too; the verdict is said of new images only where that one gives the same.",
    )
    return (
        ("paired difference",
         "The difference of two runs with the same seed, one of each arm. What both share (initial weights, order of the "
         "images) cancels."),
        *((point,) if metric.scale == "percent" else ()),
        ("difference that matters", f"The smallest difference of interest: {m}, {source}."),
        ("95 % together",
         "Among many comparisons, some differ by chance. The confidence intervals are so wide that in 95 of 100 such studies "
         "all of them contain the mean over all possible seeds (Bonferroni's correction), so at most 5 have a false verdict."),
        ("clearly better, clearly worse", f"The whole confidence interval is {sides[0]} {better}, or {sides[1]} {worse}."),
        ("better, worse", f"The confidence interval excludes 0, but includes differences under {m}."),
        ("no difference that matters", f"The whole confidence interval is within \N{PLUS-MINUS SIGN}{m}, even if it excludes 0."),
        *((images,) if metric.on_test_images else ()),
        ("undecided", "The confidence interval is too wide for the verdicts above. The sentence says how many seeds may be enough."),
        ("trains more often, trains less often",
         f"Fewer than {FEWEST_SEEDS} seeds at which both arms trained, and one arm fails to train more often than chance explains "
         "(Fisher's exact test)."),
        ("too few seeds", f"Fewer than {FEWEST_SEEDS} seeds at which both arms trained: no verdict."),
        ("not comparable", "A run is missing, or the arms were tested on different images: no verdict."),
    )  # fmt: skip


def _data(results: Results) -> str:
    digests = {row.data.digest for row in results.rows if row.data}
    data = "one data set" if len(digests) <= 1 else f"{len(digests)} versions of its data"
    return f"The study used {data}. Other images may give another order of the arms."


def _seeds(results: Results) -> str:
    counts = sorted({arm_accuracy(results, arm.name).n for arm in results.arms})
    seeds = count(counts[0], "seed") if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"
    return (
        f"It has {seeds} per arm. Confidence intervals from few seeds are wide, and they assume that differences of "
        f"{metric_words(results).name} follow a normal distribution."
    )


def _test_images(results: Results) -> list[str]:
    """The binomial margin of error of one accuracy."""
    images = sorted({row.summary.test_images for row in results.rows if row.summary and row.summary.test_images})
    means = sorted(mean for arm in results.arms if (mean := arm_accuracy(results, arm.name).mean) is not None)
    if not images or not means or not metric_words(results).counts_images:
        return []
    typical = means[len(means) // 2]
    margin = plain(accuracy_margin(typical, images[0]))
    return [
        f"With {listed(map(whole, images))} test images, a single accuracy near {plain(typical, 0)} % has a margin of error of "
        f"\N{PLUS-MINUS SIGN}{margin} points, however many seeds there are. Arms tested on the same images share most of it."
    ]


def _groups(results: Results) -> list[str]:
    """What intervals that count images leave out where images belong together."""
    if not metric_words(results).metric.on_test_images or all(arm.data.group is None for arm in results.arms):
        return []
    return [
        "Margins and intervals for new images count the test images as independent. Those of one group (data.group) are alike, so with "
        "few groups in the test part they are too narrow."
    ]


def _validation() -> str:
    return (
        f"The best epoch was chosen by validation accuracy, so the validation accuracies in {section('runs')} are slightly too "
        "high. The test accuracies are not affected."
    )


def _settings(results: Results) -> str:
    if len(results.arms) == 1:
        return "The study has one arm and compares it with nothing."
    own = "An arm may do better with settings of its own, such as another learning rate."
    return f"Every arm used the settings in {section('compared')}. {own}"
