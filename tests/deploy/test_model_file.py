"""The model folder: it predicts alone, with the numbers of its run, and refuses what is damaged or of another version."""

import json
import pickle
import shutil
import struct

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

import striate as package
from striate.deploy import model_file
from striate.deploy.trained import Trained
from striate.runs import layout, read
from striate.studies.loaded import load
from tests.contracts.scheduler import InlineScheduler
from tests.deploy.conftest import images_of, kept_probabilities
from tests.studies.conftest import STUDY, write_study


@pytest.fixture
def model(run, tmp_path):
    """The model of a run."""
    folder = tmp_path / "model"
    model_file.write(Trained.of(read(run)), folder / layout.MODEL_WEIGHTS)
    return folder


def rewrite(path, change):
    """Change the metadata of a model file; the tensors stay."""
    content = path.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    head = json.loads(content[8 : 8 + length])
    change(head["__metadata__"])
    text = json.dumps(head).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])


def stacked(predictions):
    return np.stack([each.probabilities for each in predictions])


def test_a_model_gives_the_numbers_of_its_run_without_the_run_and_the_images(run, model, photos, tmp_path_factory):
    images, expected, files = np.array(images_of(run)), kept_probabilities(run), tmp_path_factory.mktemp("photos")
    shutil.copytree(photos, files, dirs_exist_ok=True)
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "my model"
    shutil.copytree(model, elsewhere)
    for path in model.parent.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    classifier = package.open(elsewhere)
    np.testing.assert_array_equal(stacked(classifier.predict(images)), expected)
    np.testing.assert_allclose(stacked(classifier.predict(files)), expected, rtol=1e-6)
    assert classifier.classes == ("0", "1", "2")


@pytest.mark.parametrize("recipe", ["test_time: flip+shift", "ema: 0.9", "precise_norm: 16"])
def test_a_model_computes_as_its_recipe_says(recipe, tmp_path):
    text = STUDY.replace("epochs: 2", f"epochs: 1\n  {recipe}").replace("seeds: 2", "seeds: 1")
    load(write_study(tmp_path, text), out=tmp_path / "runs").run(scheduler=InlineScheduler())
    run = tmp_path / "runs" / "study" / "normalized" / "seed-0"
    model_file.write(Trained.of(read(run)), tmp_path / "model" / layout.MODEL_WEIGHTS)
    given = stacked(package.open(tmp_path / "model").predict(images_of(run)))
    np.testing.assert_array_equal(given, kept_probabilities(run))


def test_a_model_is_found_by_its_file_its_folder_and_its_study(striate, run, model, photos):
    study = run.parent.parent
    shutil.copytree(model, study / layout.MODEL)
    expected = striate("predict", run, photos)[1]
    for path in (model, model / layout.MODEL_WEIGHTS, study):
        code, out, _ = striate("predict", path, photos)
        assert (code, out) == (0, expected)
    code, out, err = striate("predict", model, photos, "--with", run)
    assert code == 0
    assert "Ensemble of 2 runs." in err


def test_any_program_reads_the_metadata(run, model):
    path = model / layout.MODEL_WEIGHTS
    with safe_open(path, framework="numpy") as file:
        facts = file.metadata()
    assert json.loads(facts["classes"]) == ["0", "1", "2"]
    assert json.loads(facts["network"]) == {"layers": "conv4 pool fc8", "norm": "batch"}
    assert json.loads(facts["resize"])["short_side"] == 8
    summary = read(run).summary
    assert json.loads(facts["mean"]) == list(summary.data.mean)
    assert json.loads(facts["std"]) == list(summary.data.std)
    assert facts["data_digest"] == read(run).job.digest
    assert {"striate", "numpy", "torch", "precision"} <= json.loads(facts["environment"]).keys()
    kept, given = load_file(run / layout.BEST), load_file(path)
    assert kept.keys() == given.keys()
    for name in kept:
        np.testing.assert_array_equal(kept[name], given[name])


def test_where_training_was_is_not_in_the_file(model, trained):
    assert str(trained).encode() not in (model / layout.MODEL_WEIGHTS).read_bytes()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda facts: facts.update(format="2", striate="9.1"), "has format 2, and this version of striate reads 1"),
        (lambda facts: facts.pop("network"), "holds weights and no model of striate"),
        (lambda facts: facts.pop("mean"), r"is not read by this version of striate \(no 'mean'\)"),
        (lambda facts: facts.update(std="[1.0, 1.0]"), "1 means and 2 deviations of 1 channels"),
        (
            lambda facts: facts.update(network='{"layers": "conv4", "spin": 1}'),
            r"\(spin: Extra inputs are not permitted",
        ),
        (lambda facts: facts.update(recipe="{"), r"is not read by this version of striate \(Expecting property name"),
        (lambda facts: facts.update(classes="7"), "is not read by this version of striate"),
        (lambda facts: facts.update(network='{"layers": "conv5 pool fc8"}'), "which the network has not; known here"),
    ],
    ids=["format", "no model", "no mean", "deviations", "unknown key", "no JSON", "no list", "other network"],
)
def test_a_model_of_another_version_is_refused(change, sentence, model):
    rewrite(model / layout.MODEL_WEIGHTS, change)
    with pytest.raises(package.StriateError, match=sentence) as refused:
        package.open(model)
    assert "\n" not in str(refused.value)


def test_a_damaged_model_is_refused_wherever_it_is_cut(model):
    path = model / layout.MODEL_WEIGHTS
    whole = path.read_bytes()
    for end in (0, 5, 8, 300, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:end])
        with pytest.raises(package.StriateError, match="is damaged or no safetensors file; copy it again"):
            package.open(model)
    path.write_bytes(whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:])
    with pytest.raises(package.StriateError, match="do not have the checksum in its metadata"):
        package.open(model)


def test_nothing_is_unpickled(model):
    (model / layout.MODEL_WEIGHTS).write_bytes(pickle.dumps({"weights": 1}, protocol=4) * 20)
    with pytest.raises(package.StriateError, match="is damaged or no safetensors file"):
        package.open(model)


def test_a_model_that_is_not_there(striate, run, photos, tmp_path):
    code, _, err = striate("predict", tmp_path / "gone.safetensors", photos)
    assert (code, err.count("\n")) == (1, 1)
    assert "gone.safetensors: there is no such file" in err
    code, _, err = striate("predict", run / layout.BEST, photos)
    assert (code, err.count("\n")) == (1, 1)
    assert "holds weights and no model of striate; give a run's folder" in err


def test_a_disk_without_space_leaves_the_older_model(run, model, monkeypatch):
    path = model / layout.MODEL_WEIGHTS
    before = path.read_bytes()

    def full(path, content):
        path.write_bytes(content[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model_file, "_write", full)
    with pytest.raises(package.StriateError, match="no space left on the disk"):
        model_file.write(Trained.of(read(run)), path)
    assert path.read_bytes() == before
    assert [each.name for each in model.iterdir()] == [layout.MODEL_WEIGHTS]
