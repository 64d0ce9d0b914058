"""Verdicts without the test images that have a twin in training: planted twins decide a comparison, and it changes."""

import json

import numpy as np
import pytest
from PIL import Image

from striate.cli.audit import command
from striate.data import DataConfig, load
from striate.report.pages import build
from striate.runs import layout
from striate.studies.audited import StudyAudit, read_audit, verdicts_without_twins, write_audit
from striate.studies.results import Results
from tests.audit.planted import bases, transformed
from tests.report import folders

TWINS = 8  # of each class, in the test part
EACH = 20  # test images of each class


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two classes; of each, TWINS test images are mirrored or recolored training images, and one is a copy."""
    folder, pictures = tmp_path_factory.mktemp("photos"), iter(bases(80))
    for name in ("cat", "dog"):
        train = [next(pictures) for _ in range(12)]
        test = [transformed(train[i], ("mirrored", "brighter")[i % 2]) for i in range(TWINS - 1)]
        test += [train[-1], *(next(pictures) for _ in range(EACH - TWINS))]
        for part, images in (("train", train), ("test", test)):
            (folder / part / name).mkdir(parents=True)
            for number, pixels in enumerate(images):
                Image.fromarray(pixels).save(folder / part / name / f"{number:02}.png")
    return folder


@pytest.fixture
def study(photos, tmp_path, monkeypatch):
    """A study of two arms and three seeds with these images, at another size than they have."""
    monkeypatch.setenv("STRIATE_CACHE", str(tmp_path / "cache"))
    dataset = load(DataConfig(source=str(photos), size=48))
    folder = tmp_path / "study"
    folders.write_study(folder, data={"source": str(photos), "size": 48})
    labels = np.array(dataset.open_test("a test").labels)
    data = folders.DATA | {"classes": list(dataset.classes), "test": len(labels), "digest": dataset.digest}
    for arm in ("plain", "normalized"):
        for seed in range(3):
            place = folders.write_run(folder, arm, seed, test=0.6, data=data, classes=2, test_images=len(labels))
            folders.write_answers(place, 0.6 if arm == "plain" else 0.7, labels=labels, classes=2)
    return folder


def rewrite(folder, right):
    """Let each run be right about the images that `right` says for its arm, but for one that depends on the seed."""
    for arm, rows in right.items():
        for seed in range(3):
            path = folder / arm / f"seed-{seed}" / "predictions.npz"
            labels = np.load(path)["test_labels"]
            is_right = np.isin(np.arange(len(labels)), rows)
            is_right[seed] ^= True
            answers = np.where(is_right, labels, 1 - labels)
            np.savez(path, test_logits=(4 * np.eye(2)[answers]).astype(np.float32), test_labels=labels)
            summary = path.with_name("summary.json")
            content = json.loads(summary.read_text()) | {"test_accuracy": float(is_right.mean()), "test": None}
            summary.write_text(json.dumps(content))


def audit(folder):
    command(str(folder), True, None, folder.parent, False)
    return read_audit(folder)


def test_the_record_has_the_rows_of_the_twins_as_runs_have_them(study, capsys):
    (found,) = audit(study).datasets
    assert len(found.twins) == 2 * TWINS
    assert found.test_images == 2 * EACH
    assert "16 of the study's 40 test images have a copy or near duplicate in training" in capsys.readouterr().out
    assert (study / layout.AUDIT_PAGE).is_file()


def test_a_verdict_that_rests_on_twins_changes(study, capsys):
    record = audit(study)
    (found,) = record.datasets
    others = sorted(set(range(2 * EACH)) - set(found.twins))
    rewrite(study, {"normalized": [*found.twins, *others[:8]], "plain": others})
    results = Results.read(study)
    (before,), ((after,), obstacle) = results.verdicts, verdicts_without_twins(results, record)
    assert obstacle == ""
    assert after.label != before.label
    assert after.interval.mean < before.interval.mean
    # By hand: on the 24 others plain is right about all but the one image of its seed, if that is no twin.
    flipped = [seed in others for seed in range(3)]
    assert after.second_mean == pytest.approx(100 - 100 * sum(flipped) / 3 / len(others))
    page = build(results)
    capsys.readouterr()
    command(str(study), True, None, study.parent, False)
    line = f"{before.comparison}: {before.label} on all test images, {after.label} without these."
    assert line in capsys.readouterr().out.splitlines()
    command(str(study), True, None, study.parent, True)
    again = json.loads(capsys.readouterr().out)["without_twins"]
    assert (again["sentences"], [one["label"] for one in again["verdicts"]]) == ([line], [after.label])
    assert f"{before.label} on all test images, {after.label} without these." in page


def test_a_verdict_that_does_not_rest_on_twins_stays(study):
    record = audit(study)
    rows = list(range(2 * EACH))
    rewrite(study, {"normalized": rows, "plain": rows[: EACH // 2]})
    page = build(Results.read(study))
    assert "The verdict is the same without these test images." in page
    assert record.datasets[0].findings[0][0] == "Images"


def test_without_an_audit_the_page_says_how_to_get_one(study):
    assert "Near duplicates between training and test were not looked for." in build(Results.read(study))


def test_an_audit_of_other_images_is_not_used(study):
    record = audit(study)
    write_audit(study, StudyAudit(datasets=tuple(one.replace(digest="0" * 64) for one in record.datasets)))
    assert "The audit in the study&#39;s folder is of other images." in build(Results.read(study))
    assert verdicts_without_twins(Results.read(study), read_audit(study)) == (
        (),
        "the runs used other images than those of the audit",
    )


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 2, "datasets": []}'])
def test_a_record_that_cannot_be_read_is_none(study, content):
    (study / layout.AUDIT).write_text(content)
    assert read_audit(study) is None


def test_runs_without_answers_are_not_judged_again(study):
    record = audit(study)
    rewrite(study, {"normalized": range(30), "plain": range(20)})
    (study / "plain" / "seed-1" / "predictions.npz").unlink()
    verdicts, obstacle = verdicts_without_twins(Results.read(study), record)
    assert verdicts == ()
    assert "predictions.npz" in obstacle


def test_labels_that_may_be_wrong_are_told_and_shown(study, capsys):
    audit(study)
    rewrite(study, {"normalized": range(5, 40), "plain": range(20)})
    command(str(study), False, None, study.parent, True)
    (data,) = json.loads(capsys.readouterr().out.partition("with a page for each dataset\n")[2])["datasets"]
    suspected = [one for one in data["suspected_labels"] if one["arm"] == "normalized"]
    assert {one["test_row"] for one in suspected} == {
        3,
        4,
    }  # all three runs are wrong about these; of 0 to 2 one is right
    assert all(one["label"] != one["answer"] for one in suspected)
    assert "Labels that may be wrong, by normalized" in build(Results.read(study))
