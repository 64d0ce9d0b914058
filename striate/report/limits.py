"""The page's last section: its words, and what the study cannot say. Both follow from the facts at hand."""

from striate.report.figures import arm_accuracy
from striate.report.wording import count, listed, plain, whole
from striate.studies.results import Results
from striate.studies.statistics import accuracy_margin
from striate.studies.verdict import FEWEST_SEEDS

Words = tuple[tuple[str, str], ...]


def glossary(results: Results) -> Words:
    """The terms that this page uses; those of comparisons only where some are planned."""
    return (*_common(results), *(_comparing(results.study.matters) if results.study.comparisons else ()))


def limits(results: Results) -> tuple[str, ...]:
    """What this study cannot say, one sentence each."""
    said = [_data(results), _seeds(results), *_test_images(results), _validation(), _recipe(results)]
    if not results.is_complete:
        said.append("The study is not complete: what is missing may change any sentence above.")
    return tuple(said)


def _common(results: Results) -> Words:
    return (
        ("arm", "One variation of the study: data, network and recipe as a whole."),
        ("seed", "Decides initial weights, order of the images and augmentation of a run. Arms with the same seed start alike."),
        ("run", "One training of one arm with one seed."),
        ("validation", "Images held out of the training part; they choose the epoch whose weights are kept."),
        ("test", _test(results)),
        ("95 % interval", "Student's t: a rule that covers the mean over all seeds in 95 of 100 studies. It says nothing of other images."),
        ("band", "The 95 % interval of the mean, drawn at each epoch."),
        ("diverged", "Its numbers broke. Such a run is no network; it counts as chance: the share of the commonest class."),
        ("at chance", "The run ended, and its accuracy is no better than guessing."),
    )  # fmt: skip


def _test(results: Results) -> str:
    if results.study.watch_test:
        return "Images looked at in every epoch, because the study asked for it (watch_test); no choice rests on them."
    return "Images used for nothing but the accuracies in sections 1 and 3."


def _comparing(matters: float) -> Words:
    m = f"{matters:g}"
    return (
        ("paired", "Arms are subtracted seed by seed; what both share (weights, batches) cancels."),
        ("points", "Difference of two accuracies in percent: 91 % and 90 % are 1 point apart."),
        ("matters", f"The smallest difference of interest, {m} points, as the study file says."),
        ("Holm", "Of many answers some come by luck. Holm's correction judges each more strictly: one false call in 20 studies at most."),
        ("clearly better, clearly worse", f"The interval of the difference lies wholly beyond +{m} or \N{MINUS SIGN}{m} points."),
        ("better, worse", f"The interval excludes 0 and reaches into \N{PLUS-MINUS SIGN}{m} points."),
        ("no difference that matters", f"The interval lies wholly within \N{PLUS-MINUS SIGN}{m} points, even where it excludes 0."),
        ("undecided", "The interval is too wide for any of these words; the sentence says how many seeds would narrow it."),
        ("too few seeds", f"Fewer than {FEWEST_SEEDS} pairs of runs; not judged."),
        ("not comparable", "A run is missing, or the arms were tested on different images; not judged."),
    )  # fmt: skip


def _data(results: Results) -> str:
    digests = {row.data.digest for row in results.rows if row.data}
    what = "one data set" if len(digests) <= 1 else f"{len(digests)} variants of its data"
    return f"It saw {what}. Other images may order the arms differently."


def _seeds(results: Results) -> str:
    counts = sorted({arm_accuracy(results, arm.name).n for arm in results.arms})
    seeds = count(counts[0], "seed") if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"
    return f"It has {seeds} an arm. Intervals from few seeds are wide, and they assume that accuracies scatter like a normal distribution."


def _test_images(results: Results) -> list[str]:
    images = sorted({n for row in results.rows if row.summary and (n := row.summary.test_images)})
    found = [mean for arm in results.arms if (mean := arm_accuracy(results, arm.name).mean) is not None]
    if not images or not found:
        return []
    typical = sorted(found)[len(found) // 2]
    margin = plain(accuracy_margin(typical, images[0]))
    return [
        f"{listed(map(whole, images))} test images leave \N{PLUS-MINUS SIGN}{margin} points on any single accuracy "
        f"near {plain(typical, 0)} %, however many seeds there are. Arms tested on the same images share most of that."
    ]


def _validation() -> str:
    return "The epoch was chosen on validation, so the validation accuracies in section 5 flatter a little. The test accuracies do not."


def _recipe(results: Results) -> str:
    if len(results.arms) == 1:
        return "It measured one arm and compares it with nothing."
    return "Every arm was trained as section 2 says. An arm that needs another learning rate got it only if the table says so."
