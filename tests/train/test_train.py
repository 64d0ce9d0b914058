"""`striate train`: from a folder to a study file, a report and a model, in a time that is kept."""

import json
import re
import shutil
import sys

import numpy as np
import pytest
import yaml

import striate as package
from striate.cli import train as command
from striate.cli.results import write_report
from striate.deploy.classifier import softmax
from striate.deploy.export import export
from striate.runs import layout
from striate.train import card, plan, train
from striate.train.choice import choose
from tests.data.films import films, write_folder
from tests.train.conftest import Pool, make_photos

SLOWNESS = train._slowness  # before the tests make it 1
FIXED = """
import torch
from torch import nn
def net(classes):
    body = nn.Conv2d(3, 4, 3, 2)
    with torch.no_grad():
        body.weight.copy_(torch.arange(108.0).reshape(4, 3, 3, 3).sin())
        body.bias.zero_()
    return nn.Sequential(body, nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(64, classes))
def drawn(classes):
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(64, classes))
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return make_photos(tmp_path_factory.mktemp("photos") / "my photos", {"ants": 20, "bees": 20, "wasps, red": 20})


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module with trained weights of its own, backbones:net, and one without, backbones:drawn."""
    (tmp_path / "backbones.py").write_text(FIXED)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("backbones", None)


def trained(striate, *words, minutes=1):
    code, out, err = striate("train", *words, "--minutes", minutes)
    assert code == 0, err
    return out, err


def test_from_a_folder_to_a_model(striate, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "export", export)
    monkeypatch.setattr(command, "write_report", write_report)
    out, err = trained(striate, photos)
    assert "no pretrained network: the weights of resnet18 cannot be downloaded (no network)" in err
    assert "audit: no image is broken" in err
    study = tmp_path / "runs" / "my-photos"
    model = study / layout.MODEL
    assert {path.name for path in model.iterdir()} == {"model.safetensors", "model.onnx", "MODEL_CARD.md"}
    assert (study / layout.REPORT).exists()
    assert "Chosen on validation: from-scratch" in out
    assert "On the test part, opened once: " in out
    assert "model.onnx gives the same class for all 12 test images" in out
    chosen = choose(package.Results.read(study))
    with np.load(chosen.run.folder / layout.PREDICTIONS) as arrays:
        logits, labels = arrays["test_logits"], arrays["test_labels"]
    assert chosen.overall.right == (logits.argmax(1) == labels).sum()
    # The model alone: elsewhere, and the run, the study and the images are gone.
    images = np.array(
        package.load(tmp_path / "runs" / "my-photos.yaml").plan().datasets[chosen.arm].open_test("now").images
    )
    shutil.copytree(model, tmp_path / "elsewhere")
    shutil.rmtree(tmp_path / "runs")
    given = np.stack([each.probabilities for each in package.open(tmp_path / "elsewhere").predict(images)])
    np.testing.assert_array_equal(given, softmax(logits))


def test_frames_of_films_get_a_group(striate, tmp_path):
    write_folder(tmp_path / "films", *films(8, 4))
    _, err = trained(striate, tmp_path / "films", "--name", "films")
    why = "16 groups of images belong together, such as 4 images of folder 'film00'"
    assert f"group: folder; {why}" in err
    text = (tmp_path / "runs" / "films.yaml").read_text()
    assert (
        f"  # {why}: frames of one film in two parts would measure memory, so each stays in one\n  group: folder\n"
        in text
    )
    card = (tmp_path / "runs" / "films" / layout.MODEL / layout.MODEL_CARD).read_text()
    assert "- 16 groups of images by data.group: folder" in card
    assert "the test images were drawn from the same folder" in card


def test_groups_that_no_choice_keeps_whole_are_left_out(striate, tmp_path, monkeypatch):
    write_folder(tmp_path / "films", *films(8, 4))
    monkeypatch.setattr("striate.data.assemble.draw_groups", lambda *_, **__: None)
    _, err = trained(striate, tmp_path / "films", "--name", "films")
    assert "the study file gets no group, which would fail: " in err
    assert "no choice of whole groups has every class in training, validation and test" in err
    assert "group:" not in (tmp_path / "runs" / "films.yaml").read_text()


def test_the_card_says_only_what_is_known(striate, photos, tmp_path):
    trained(striate, photos, "--name", "cards")
    study = tmp_path / "runs" / "cards"
    card = (study / layout.MODEL / layout.MODEL_CARD).read_text()
    chosen = choose(package.Results.read(study))
    assert f"{chosen.overall.right:,} of 12; 95 % interval" in card
    for name in ("ants", "bees", "wasps, red"):
        assert re.search(rf"^\| {name} \| [\d.]+ \| \d+ \| 4 \| [\d.]+ to [\d.]+ \|$", card, re.MULTILINE)
    assert "- the source has no test part: a fixed 20 % of it is held out as the test part" in card
    assert "- audit: no image is broken" in card
    assert "the test images were drawn from the same folder" in card
    assert "Classes of fewer than 30 test images" in card
    assert str(tmp_path) not in card
    assert all(
        verdict.sentence.split(":")[0][:40] in card.replace("\\", "")
        for verdict in package.Results.read(study).verdicts
    )


def test_a_card_without_comparisons_announces_none(striate, photos, tmp_path):
    trained(striate, photos, "--name", "alone")
    study = tmp_path / "runs" / "alone"
    path = study / layout.STUDY
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "compare": []}, sort_keys=False))
    results = package.Results.read(study)
    assert results.verdicts == ()
    card.write(tmp_path / "card.md", results, choose(results), [], [])
    assert "The whole comparison" not in (tmp_path / "card.md").read_text()


def test_a_backbone_of_ones_own_is_fine_tuned_and_frozen(striate, photos, own, tmp_path):
    out, err = trained(striate, photos, "--network", "import:backbones:net")
    assert "fine-tuned: " in err
    assert "no pretrained network" not in err
    arms = yaml.safe_load((tmp_path / "runs" / "my-photos.yaml").read_text())["arms"]
    assert list(arms) == ["fine-tuned", "frozen", "from-scratch"]
    assert arms["frozen"]["network.freeze"] == "all-but-head"
    assert re.search(r"(fine-tuned|With 3 seeds each, fine-tuned)", out)
    images = sorted(photos.glob("*/*.png"))
    shutil.rmtree(tmp_path / "runs" / "my-photos" / "fine-tuned")
    assert len(package.open(tmp_path / "runs" / "my-photos" / "model").predict(images)) == 60


def test_a_network_of_ones_own_without_trained_weights(striate, photos, own, tmp_path):
    _, err = trained(striate, photos, "--network", "import:backbones:drawn")
    assert "own: " in err
    assert list(yaml.safe_load((tmp_path / "runs" / "my-photos.yaml").read_text())["arms"]) == ["own", "from-scratch"]


def test_weights_of_a_file_for_other_classes(striate, photos, own, tmp_path):
    import torch
    from backbones import drawn

    torch.save(drawn(1000).state_dict(), tmp_path / "w.pth")
    _, err = trained(striate, photos, "--network", "import:backbones:drawn", "--weights", tmp_path / "w.pth")
    assert "frozen: " in err


def test_weights_say_their_network_by_their_name(striate, photos, tmp_path):
    (tmp_path / "resnet1800.pth").write_bytes(b"")
    for words, sentence in [
        (["--weights", tmp_path / "gone.pth"], "--weights: there is no file"),
        (
            ["--weights", tmp_path / "resnet1800.pth"],
            "does not begin with a network of torchvision; say which by --network",
        ),
        (["--network", "resnet"], "--network: 'resnet' is not a classifier of torchvision; did you mean 'resnet"),
        (["--minutes", "0.1"], "--minutes: must be from 0.5 to 10,080, got 0.1"),
        (["--out", photos / "runs"], "lies in the folder of the images, which would take it for a class"),
        (["--name", "a\nb"], "--name must not contain the control character"),
    ]:
        code, out, err = striate("train", photos, *words)
        assert (code, out) == (1, "")
        assert sentence in err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["resnet18-f37072fd.pth", "ResNet18.safetensors", "resnet18_imagenet.pt"])
def test_the_name_of_a_file_of_weights(name, tmp_path):
    from striate.train.backbone import given

    (tmp_path / name).write_bytes(b"")
    assert given("", str(tmp_path / name)).network["torchvision"] == "resnet18"


def test_the_same_command_goes_on(striate, photos, tmp_path, monkeypatch):
    """Stopped by the time, then again: what is there stays, the rest is trained, and the model is of all."""
    left = iter([*[100.0] * 4])
    real = plan.Clock.left.fget
    monkeypatch.setattr(plan.Clock, "left", property(lambda clock: next(left, -1.0)))
    striate("train", photos, "--minutes", 1)
    monkeypatch.setattr(plan.Clock, "left", property(real))
    study = tmp_path / "runs" / "my-photos"
    before = {path: path.read_bytes() for path in study.glob("*/seed-*/summary.json")}
    assert len(before) < 6
    _, err = trained(striate, photos)
    assert "my-photos.yaml is there already: what it lacks is trained" in err
    assert all(path.read_bytes() == content for path, content in before.items())
    assert len(list(study.glob("*/seed-*/summary.json"))) == 6
    assert (study / layout.MODEL / layout.MODEL_WEIGHTS).exists()


def test_the_study_file_of_other_images_is_kept(striate, photos, tmp_path):
    trained(striate, photos)
    other = make_photos(tmp_path / "other" / "my photos", {"a": 6, "b": 6})
    before = (tmp_path / "runs" / "my-photos.yaml").read_bytes()
    code, _, err = striate("train", other)
    assert code == 1
    assert "is the study of other images" in err.splitlines()[-1]
    assert (tmp_path / "runs" / "my-photos.yaml").read_bytes() == before


@pytest.mark.parametrize(("wall", "computed", "slowness"), [(3.0, 1.0, 3.0), (1.0, 1.5, 1.0), (9.0, 0.0, 4.0)])
def test_a_busy_machine_gets_more_time_for_the_end(wall, computed, slowness):
    assert SLOWNESS(wall, computed) == slowness


def test_json(striate, photos):
    out, _ = trained(striate, photos, "--json")
    facts = json.loads(out)
    assert facts["chosen"]["arm"] in {"from-scratch", "from-scratch-wide"}
    assert facts["chosen"]["per_class"].keys() == {"ants", "bees", "wasps, red"}
    assert facts["onnx_note"] == "no model.onnx: Exporting to ONNX needs onnx: pip install 'striate[export]'"


def test_without_the_extra_one_line_says_how(striate, photos, tmp_path):
    out, _ = trained(striate, photos)
    assert "no model.onnx: Exporting to ONNX needs onnx: pip install 'striate[export]'" in out
    model = tmp_path / "runs" / "my-photos" / layout.MODEL
    assert {path.name for path in model.iterdir()} == {"model.safetensors", "MODEL_CARD.md"}
    assert "onnx" not in (model / layout.MODEL_CARD).read_text()


def test_a_full_disk_leaves_the_runs(striate, photos, tmp_path, monkeypatch):
    from striate.deploy import model_file

    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model_file, "_write", full)
    code, _, err = striate("train", photos, "--minutes", 1)
    assert code == 1
    assert "no space left on the disk" in err.splitlines()[-1]
    assert len(list((tmp_path / "runs" / "my-photos").glob("*/seed-*/summary.json"))) == 6


def test_stopped_before_anything_is_trained(striate, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(Pool, "time_steps", lambda *_: None)
    code, _, err = striate("train", photos)
    assert code == 130
    assert "To go on: striate train" in err
    assert not (tmp_path / "runs").exists()


def test_too_little_time_is_refused_with_what_is_needed(striate, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "EPOCH_SECONDS", 30.0)
    code, _, err = striate("train", photos, "--minutes", 1)
    assert code == 1
    assert "from-scratch-wide is left out: there is no time for it" in err
    needed = float(re.search(r"need about ([\d.]+) minutes", err)[1])
    assert needed == pytest.approx(1 + (3 * 30 - 38) / 0.92 / 60, rel=0.2)
    assert not (tmp_path / "runs").exists()


def make_parts(folder, **counts):
    for part, count in counts.items():
        make_photos(folder / part, {"a": count, "b": count}, seed=count)


def test_the_dearest_candidates_are_left_out_where_time_is_short(striate, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "EPOCH_SECONDS", 8.0)
    _, err = trained(striate, photos)
    assert "is left out: there is no time for it" in err
    study = package.load(tmp_path / "runs" / "my-photos.yaml").study
    assert (list(study.arms), study.comparisons) == (["from-scratch"], ())


FOLDERS = {
    "parts": lambda folder: make_parts(folder, train=12, val=4, test=5),
    "train and validation": lambda folder: make_parts(folder, train=12, dev=4),
    "three images a class": lambda folder: make_photos(folder, {"a": 3, "b": 3, "c": 3}),
    "imbalance": lambda folder: make_photos(folder, {"a": 120, "b": 10}),
    "gray": lambda folder: [gray(path) for path in make_photos(folder, {"a": 12, "b": 12}).glob("*/*")],
    "large": lambda folder: make_photos(folder, {"a": 4, "b": 4}, size=(1500, 1000)),
    "other files": lambda folder: (make_photos(folder, {"a": 12, "b": 12}) / "a" / "notes.txt").write_text("x"),
}


def gray(path):
    from PIL import Image

    Image.open(path).convert("L").save(path)


@pytest.mark.parametrize("kind", FOLDERS)
def test_folders_of_every_kind(kind, striate, tmp_path):
    FOLDERS[kind](tmp_path / "odd")
    _, err = trained(striate, tmp_path / "odd")
    study = package.load(tmp_path / "runs" / "odd.yaml").study
    assert (tmp_path / "runs" / "odd" / layout.MODEL / layout.MODEL_WEIGHTS).exists()
    card = (tmp_path / "runs" / "odd" / layout.MODEL / layout.MODEL_CARD).read_text()
    assert "Images of another origin" in card
    if kind == "imbalance":
        assert (study.recipe.class_weights, study.metric) == ("balanced", "balanced accuracy")
        assert "very unequal size: each gets the same share" in (tmp_path / "runs" / "odd.yaml").read_text()
        assert "Classes of unequal size were weighted" in card
    if kind == "large":
        assert study.data.size == 128
    if kind == "other files":
        assert "notes.txt" in err


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda folder: make_photos(folder, {"a": 5}), "a classifier needs at least 2 classes, got only 'a'"),
        (lambda folder: folder.mkdir(), "there are no images in class folders here"),
        (lambda folder: make_photos(folder, {"a": 1, "b": 9}), "class 'a'"),
        (lambda folder: None, "there is no"),
    ],
    ids=["one class", "empty", "one image", "missing"],
)
def test_what_is_no_data_is_refused(make, sentence, striate, tmp_path):
    make(tmp_path / "odd")
    code, out, err = striate("train", tmp_path / "odd")
    assert (code, out) == (1, "")
    assert sentence in err.splitlines()[-1]
    assert not (tmp_path / "runs").exists()
