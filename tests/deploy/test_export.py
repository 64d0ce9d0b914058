"""`striate export`: the file on disk gives the classes of the run on every test image, or there is no file."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import striate as package
from striate.deploy import export as exporting
from striate.deploy.export import export
from striate.deploy.pytorch import export as pytorch
from striate.runs import layout
from tests.deploy.conftest import images_of, kept_probabilities

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def as_written(run, monkeypatch):
    """Run a function on the probabilities that come from the disk."""

    def change(function):
        before = exporting._from_disk
        monkeypatch.setattr(exporting, "_from_disk", lambda *words: function(before(*words)))

    return change


def test_an_onnx_file_gives_the_probabilities_of_the_run(striate, run):
    code, out, _ = striate("export", run, "--json")
    facts = json.loads(out)
    assert (code, facts["test_images"], facts["same_classes_as_predictions"]) == (0, 60, 60)
    assert facts["largest_difference"] < 1e-5
    session = onnxruntime.InferenceSession(run / layout.MODEL_ONNX)
    assert session.get_inputs()[0].type == "tensor(uint8)"
    images, expected = images_of(run), kept_probabilities(run)
    for count in (1, 7, 60):  # the batch is not fixed
        (given,) = session.run(None, {"images": np.array(images[:count])})
        np.testing.assert_allclose(given, expected[:count], atol=1e-5)


def test_what_a_program_needs_is_in_the_file(run):
    export(run)
    facts = {entry.key: entry.value for entry in onnx.load(run / layout.MODEL_ONNX).metadata_props}
    assert json.loads(facts["classes"]) == ["0", "1", "2"]
    assert json.loads(facts["input"]) == {"layout": "NHWC", "type": "uint8", "height": 8, "width": 8, "channels": 1}
    assert json.loads(facts["resize"])["short_side"] == 8
    assert facts["colors"] == "gray"
    assert len(facts["weights_sha256"]) == 64


def test_a_program_of_torch(striate, run):
    code, out, _ = striate("export", run, "--format", "torch")
    assert code == 0
    assert "opened from the disk and run on all 60 test images: the same class for each" in out
    module, facts = pytorch.read_torch(run / layout.MODEL_TORCH)
    given = pytorch.run_torch(module, np.array(images_of(run)[:5]))
    np.testing.assert_allclose(given, kept_probabilities(run)[:5], atol=1e-5)
    assert json.loads(facts["classes"]) == ["0", "1", "2"]


@pytest.mark.parametrize("kind", ["onnx", "torch"])
def test_a_file_that_normalizes_otherwise_is_not_kept(kind, run, monkeypatch):
    whole = pytorch.Deployed.__init__

    def planted(self, network):
        whole(self, network)
        self.shift += 3.0

    monkeypatch.setattr(pytorch.Deployed, "__init__", planted)
    before = {path.name for path in run.iterdir()}
    with pytest.raises(package.StriateError, match="is not kept, because it must give the classes of"):
        export(run, kind)
    assert {path.name for path in run.iterdir()} == before


@pytest.mark.parametrize(
    "planted",
    [lambda given: given[:, ::-1], lambda given: given + 0.002, lambda given: given * np.nan],
    ids=["classes in another order", "a small difference", "not a number"],
)
def test_a_wrong_output_leaves_an_older_file_as_it_was(planted, run, as_written):
    (run / layout.MODEL_ONNX).write_bytes(b"older")
    as_written(planted)
    with pytest.raises(package.StriateError, match="probabilities differ by up to"):
        export(run)
    assert (run / layout.MODEL_ONNX).read_bytes() == b"older"
    assert not list(run.glob(".*onnx*"))


def test_what_cannot_be_exported_is_refused(striate, run, monkeypatch):
    for words, sentence in [
        (["--format", "tflite"], "--format: must be one of onnx, torch, got 'tflite'"),
        (["--data", "digits"], "digits: its images are not those that"),
    ]:
        code, out, err = striate("export", run, *words)
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert sentence in err

    def refuses(*_):
        raise NotImplementedError("no operator for it\nmore lines")

    monkeypatch.setattr(pytorch, "write_onnx", refuses)
    assert "its network cannot be exported to onnx (no operator for it)" in striate("export", run)[2]
    assert not (run / layout.MODEL_ONNX).exists()


def test_the_program_of_the_manual_runs_without_torch(run, photos, tmp_path):
    export(run, file=tmp_path / "model.onnx")
    (program,) = re.findall(r"```python\n(.*?)```", (DOCS / "deploy.md").read_text(), re.DOTALL)
    (tmp_path / "classify.py").write_text(
        program + "\nassert 'torch' not in sys.modules and 'striate' not in sys.modules\n"
    )
    files = sorted(photos.iterdir())[:6]
    command = [sys.executable, "classify.py", "model.onnx", *map(str, files)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    expected = kept_probabilities(run)[:6]
    given = [line.rsplit(" ", 2) for line in done.stdout.splitlines()]
    assert [(name, label) for name, label, _ in given] == [
        (str(path), str(row.argmax())) for path, row in zip(files, expected, strict=True)
    ]
    np.testing.assert_allclose([float(value) for *_, value in given], expected.max(1), atol=1e-3)
