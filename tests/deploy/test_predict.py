"""`striate predict` and `striate.open`: the numbers of the run itself, a row for every image, in the order given."""

import csv
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

import striate as package
from striate.deploy import classifier as classifiers
from striate.runs import layout
from striate.studies.loaded import load
from tests.contracts.scheduler import InlineScheduler
from tests.deploy.conftest import images_of, kept_probabilities
from tests.studies.conftest import STUDY, write_study


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def stacked(predictions):
    return np.stack([each.probabilities for each in predictions])


def test_the_numbers_are_those_of_the_run(run):
    np.testing.assert_array_equal(stacked(package.open(run).predict(images_of(run))), kept_probabilities(run))


@pytest.mark.parametrize("test_time", ["flip", "flip+shift"])
def test_the_views_of_test_time_are_averaged_as_in_the_run(test_time, tmp_path):
    text = STUDY.replace("epochs: 2", f"epochs: 1\n  test_time: {test_time}").replace("seeds: 2", "seeds: 1")
    load(write_study(tmp_path, text), out=tmp_path / "runs").run(scheduler=InlineScheduler())
    run = tmp_path / "runs" / "study" / "plain" / "seed-0"
    np.testing.assert_array_equal(stacked(package.open(run).predict(images_of(run))), kept_probabilities(run))


def test_files_give_the_numbers_of_the_run_in_their_order(striate, run, photos):
    code, out, err = striate("predict", run, photos, "--all")
    assert code == 0
    found = rows(out)
    assert [row["file"] for row in found] == [str(path) for path in sorted(photos.iterdir())]
    expected = kept_probabilities(run)
    given = np.array([[float(row[f"p_{name}"]) for name in "012"] for row in found])
    np.testing.assert_allclose(given, expected, rtol=1e-5)
    assert [row["class"] for row in found] == [str(index) for index in expected.argmax(1)]
    assert "60 images in" in err


def test_the_check_of_the_numbers_can_fail(striate, run, photos):
    """With another deviation in the run's folder the numbers are other ones."""
    summary = json.loads((run / layout.SUMMARY).read_text())
    summary["data"]["std"] = [2 * value for value in summary["data"]["std"]]
    (run / layout.SUMMARY).write_text(json.dumps(summary))
    given = stacked(package.open(run).predict(photos))
    assert np.abs(given - kept_probabilities(run)).max() > 1e-3


def test_many_chunks_keep_the_order(run, photos, monkeypatch):
    monkeypatch.setattr(classifiers, "PIXELS_AT_ONCE", 7 * 8 * 8)
    monkeypatch.setattr(classifiers, "CHUNK", 7)
    (photos / "010.png").write_bytes(b"no image")
    predictions = package.open(run).predict(photos)
    assert [each.file for each in predictions] == [str(path) for path in sorted(photos.iterdir())]
    good = [index for index, each in enumerate(predictions) if not each.error]
    assert len(good) == 59
    np.testing.assert_allclose(stacked(predictions[index] for index in good), kept_probabilities(run)[good], rtol=1e-5)


def test_no_more_than_a_chunk_is_held(run, monkeypatch):
    """So a folder of any size can be read: files are opened only shortly before their predictions come out."""
    monkeypatch.setattr(classifiers, "PIXELS_AT_ONCE", 16 * 8 * 8)
    monkeypatch.setattr(classifiers, "CHUNK", 16)
    monkeypatch.setattr("striate.data.decode.CHUNK", 16)
    asked = 0

    def images():
        nonlocal asked
        for index in range(1000):
            asked += 1
            yield classifiers.EncodedImage(f"{index}", b"no image")

    stream = package.open(run).stream(images())
    assert [next(stream).file for _ in range(3)] == ["0", "1", "2"]
    assert asked <= 48


def test_damaged_and_missing_files_are_rows_with_the_reason(striate, run, photos):
    good = photos / "000.png"
    (photos / "bad.png").write_bytes(good.read_bytes()[:60])
    (photos / "text.png").write_text("no image")
    code, out, err = striate("predict", run, photos / "bad.png", good, photos / "gone.png", photos / "text.png")
    assert code == 3
    found = rows(out)
    assert [bool(row["error"]) for row in found] == [True, False, True, True]
    assert [found[2]["error"], found[3]["error"]] == ["No such file or directory", "not an image, or a damaged one"]
    assert [row["class"] != "" for row in found] == [False, True, False, False]
    assert "4 images" in err
    assert "3 not read" in err


def test_json_has_the_same_rows(striate, run, photos):
    (photos / "bad.png").write_text("no image")
    code, out, _ = striate("predict", run, photos, "--json", "--top", 2, "--all")
    found = json.loads(out)
    assert (code, len(found)) == (3, 61)
    assert found[-1] == {"file": str(photos / "bad.png"), "error": "not an image, or a damaged one"}
    first = found[0]
    assert first["top"][0]["class"] == first["class"]
    assert first["top"][1]["probability"] <= first["probability"] == max(first["probabilities"].values())
    assert json.loads(striate("predict", run, photos / "bad.png", "--json")[1])[0]["error"]


def test_the_head_of_the_table(striate, run, photos):
    head = striate("predict", run, photos / "000.png", "--top", 9)[1].splitlines()[0]
    assert head == "file,class,probability,class_2,probability_2,class_3,probability_3,error"
    assert striate("predict", run, photos / "000.png")[1].splitlines()[0] == "file,class,probability,error"


def test_patterns_folders_and_names_from_a_pipe(striate, run, photos, monkeypatch):
    (photos / "deep").mkdir()
    shutil.copy(photos / "003.png", photos / "deep" / "a, b.png")
    (photos / "notes.txt").write_text("no image")
    code, out, _ = striate("predict", run, f"{photos}/00[12].png", photos / "deep")
    assert code == 0
    assert [row["file"].removeprefix(f"{photos}/") for row in rows(out)] == ["001.png", "002.png", "deep/a, b.png"]
    assert "not read, as no images: notes.txt" in striate("predict", run, photos)[2]
    names = f"{photos / '005.png'}\n\n{photos}/deep\n".encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(names))))
    assert [row["file"][-7:] for row in rows(striate("predict", run, "-")[1])] == ["005.png", ", b.png"]
    picture = (photos / "005.png").read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(picture))))
    assert [row["file"] for row in rows(striate("predict", run, "-")[1])] == ["-"]


def test_an_image_is_prepared_as_in_training(run, photos, tmp_path):
    """Turned upright by EXIF, in the channels of the run, resized and cropped to its size."""
    upright = Image.open(photos / "000.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    upright.convert("RGB").save(tmp_path / "color.png")
    upright.resize((24, 24), Image.Resampling.NEAREST).save(tmp_path / "large.png")
    plain, turned, color, large = package.open(run).predict(
        [photos / "000.png", tmp_path / "turned.png", tmp_path / "color.png", tmp_path / "large.png"]
    )
    np.testing.assert_allclose(turned.probabilities, plain.probabilities, rtol=1e-6)
    np.testing.assert_allclose(color.probabilities, plain.probabilities, rtol=1e-6)
    assert (large.error, large.probabilities.shape) == ("", (3,))


def test_the_seeds_of_an_arm_are_an_ensemble(striate, arm, photos):
    expected = np.mean([kept_probabilities(arm / f"seed-{seed}") for seed in range(3)], axis=0)
    np.testing.assert_allclose(stacked(package.open(arm).predict(photos)), expected, rtol=1e-6)
    two = package.open(arm / "seed-2", arm / "seed-1").predict(photos)
    np.testing.assert_allclose(stacked(two), (expected * 3 - kept_probabilities(arm / "seed-0")) / 2, rtol=1e-6)
    code, out, err = striate("predict", arm / "seed-2", photos, "--with", arm / "seed-1")
    assert (code, len(rows(out))) == (0, 60)
    assert "Ensemble of 2 runs." in err


def test_an_array_that_holds_no_images_is_refused(run):
    classifier = package.open(run)
    with pytest.raises(package.StriateError, match=r"must be uint8, .* got float64 of shape \(2, 8, 8, 1\)"):
        classifier.predict(np.zeros((2, 8, 8, 1)))
    assert classifier.predict(np.zeros((0, 8, 8, 1), np.uint8)) == []


def test_an_output_that_is_not_finite_is_an_error(run, monkeypatch):
    monkeypatch.setattr(classifiers, "softmax", lambda logits: np.full(logits.shape, np.nan))
    (prediction,) = package.open(run).predict(images_of(run)[:1])
    assert (prediction.label, prediction.probability) == ("", None)
    assert prediction.error == "the network's outputs are not finite numbers"


def test_what_cannot_predict_is_refused(striate, arm, photos, tmp_path):
    study = arm.parent
    shutil.copytree(arm / "seed-0", tmp_path / "young")
    (tmp_path / "young" / layout.SUMMARY).unlink()
    shutil.copytree(arm / "seed-0", tmp_path / "other")
    summary = (arm / "seed-0" / layout.SUMMARY).read_text()
    (tmp_path / "other" / layout.SUMMARY).write_text(summary.replace('"classes": [', '"classes": ["more",'))
    (tmp_path / "empty").mkdir()
    for words, sentence in [
        ([tmp_path / "gone"], "holds no run (no run.yaml)"),
        ([tmp_path / "empty"], "holds no run; give a run's folder, or train it first"),
        ([study], "is a study of several runs; give the folder of one arm, such as "),
        ([tmp_path / "young"], "the run is unfinished; only a finished one has a trained network"),
        ([arm / "seed-0", "--with", tmp_path / "other"], "predicts other classes than "),
        ([arm / "seed-0", "--device", "tpu"], "--device: must be one of auto"),
    ]:
        code, out, err = striate("predict", words[0], photos, *words[1:])
        assert (code, out) == (1, "")
        assert sentence in err
        assert err.count("\n") == 1
