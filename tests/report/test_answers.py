"""Cost, classes, confusion and calibration: the numbers on the page are those of the run folders."""

import json

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from striate.report import classes, costs, trust
from striate.report.answers import StudyAnswers, class_accuracies, confusion
from striate.report.heat import heat_map
from striate.report.pages import build
from striate.runs.predictions import answers_of
from striate.runs.reader import read
from striate.studies.results import Results
from tests.report import folders
from tests.report.reading import Page


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    return Results.read(folders.answered(tmp_path_factory.mktemp("studies") / "answered"))


@pytest.fixture(scope="module")
def page(answered):
    return Page(build(answered))


def logits_of(results, arm, seed):
    with np.load(results.folder / arm / f"seed-{seed}" / "predictions.npz") as arrays:
        return arrays["test_logits"].astype(np.float64), arrays["test_labels"]


def test_answers_are_those_of_the_logits(answered):
    logits, labels = logits_of(answered, "plain", 1)
    answers = answers_of(read(answered.folder / "plain" / "seed-1"))
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_array_equal(answers.predicted, logits.argmax(1))
    np.testing.assert_allclose(answers.confidence, shares.max(1), rtol=1e-6)
    np.testing.assert_allclose(answers.of_label, shares[np.arange(len(labels)), labels], rtol=1e-6)
    np.testing.assert_allclose(answers.loss, -np.log(shares[np.arange(len(labels)), labels]), rtol=1e-5)


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"test_logits": np.zeros((3, 2)), "test_labels": np.zeros(2, int)},
        {"test_logits": np.full((3, 2), np.nan), "test_labels": np.zeros(3, int)},
        {"test_logits": np.zeros((3, 2)), "test_labels": np.array([0, 1, 2])},
        {"test_logits": np.zeros((3, 2)), "test_labels": np.zeros(3)},
    ],
)
def test_a_broken_file_of_answers_is_none(tmp_path, arrays):
    folder = folders.two_arms(tmp_path / "s")
    np.savez(folder / "plain" / "seed-0" / "predictions.npz", **arrays)
    assert answers_of(read(folder / "plain" / "seed-0")) is None
    (folder / "plain" / "seed-1" / "predictions.npz").write_bytes(b"PK\x03\x04 torn")
    assert answers_of(read(folder / "plain" / "seed-1")) is None


def test_confusion_is_scikit_learns_summed_over_the_seeds(answered):
    expected = 0
    for seed in range(3):
        logits, labels = logits_of(answered, "normalized", seed)
        expected = expected + confusion_matrix(labels, logits.argmax(1), labels=range(10))
    np.testing.assert_array_equal(confusion(answered, "normalized"), expected)


def test_the_accuracy_of_each_class_and_its_difference(answered, page):
    plain, normalized = (class_accuracies(answered, arm).mean(0) for arm in ("plain", "normalized"))
    table = page.tables["accuracy of each class"]
    assert table[0] == ["class", "plain", "normalized", "difference", "95 % interval of this class alone"]
    for name, *cells in table[1:]:
        k = int(name.removeprefix("class "))
        assert cells[:2] == [f"{plain[k]:.1f}", f"{normalized[k]:.1f}"]
        assert cells[2] == f"{normalized[k] - plain[k]:+.1f}".replace("-", "−").replace("+0.0", "0.0")
    gains = [float(row[3].replace("−", "-")) for row in table[1:]]
    assert gains == sorted(gains, reverse=True)


def test_the_pair_is_the_baseline_and_the_best_other_arm(answered, two):
    answers = StudyAnswers(answered)
    assert answers.pair == ("plain", "normalized")
    assert answers.pair_in_words == "plain is the baseline (the second arm of the first planned comparison)."
    assert StudyAnswers(two).pair == ("plain", "normalized")


def test_a_heat_map_has_each_cell_once_and_its_numbers():
    values = np.array([[0.0, 50.0, 2.0], [0.0, 0.0, 0.0], [-4.0, 0.0, 0.0]])
    svg = str(heat_map(values, ["a & b", "c", "d"], "label", "var(--up)", "var(--down)"))
    assert svg.count("Z") == 3 + 1  # three cells and the frame
    assert svg.count('fill="var(--down)"') == 1
    assert ">50</text>" in svg
    assert ">−4</text>" in svg
    assert "a &amp; b" in svg
    assert "<rect" not in heat_map(np.zeros((2, 2)), ["a", "b"], "l", "x", "y")


def test_many_classes_are_a_table_of_pairs(tmp_path):
    results = Results.read(folders.answered(tmp_path / "s", classes=50))
    figure = classes.confusions(StudyAnswers(results))
    assert figure.matrices == ()
    assert len(figure.table.rows) == classes.MOST_PAIRS
    text = Page(build(results)).text
    assert "With 50 classes, the table has the most frequent mistakes." in text


def test_the_calibration_curve_has_the_mean_confidence_and_accuracy_of_each_bin(answered):
    curve = trust.calibration(StudyAnswers(answered)).curves[0]
    confidence, right = [], []
    for seed in range(3):
        logits, labels = logits_of(answered, "plain", seed)
        shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        confidence.append(shares.max(1))
        right.append(logits.argmax(1) == labels)
    confidence, right = np.concatenate(confidence), np.concatenate(right)
    inside = (confidence >= 0.9) & (confidence <= 1.0)
    assert curve.points[-1] == pytest.approx((100 * confidence[inside].mean(), 100 * right[inside].mean()), abs=1e-4)
    assert sum(curve.counts) <= 1200


def test_cost_names_who_is_efficient_and_what_the_best_costs(answered, page):
    figure = costs.cost(answered)
    assert [arm.is_efficient for arm in figure.arms] == [True, True]
    assert "points more than plain, the fastest, in 1.5 times its training time" in figure.title
    assert page.tables["Cost of each arm"][2][4] == "31\u202f000"
    assert "Measured on a processor." in page.text


def test_an_arm_that_is_slower_and_worse_is_not_efficient(tmp_path):
    folder = folders.answered(tmp_path / "s")
    for seed in range(3):
        path = folder / "plain" / f"seed-{seed}" / "summary.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"seconds": 99.0}))
    figure = costs.cost(Results.read(folder))
    assert [arm.is_efficient for arm in figure.arms] == [False, True]
    assert "has the best mean accuracy and the shortest training" in figure.title


def test_without_answers_the_sections_say_so(two_page):
    text = Page(two_page).text
    assert "No run has recorded the accuracy of each class." in text
    assert "The calibration curve needs the answers to each test image (predictions.npz), which the runs lack." in text
