"""A study whose network is a module of the user's own: found from everywhere, and never two codes in one arm."""

import shutil
import sys

import pytest
import yaml

from striate.core.errors import NetworkError, StudyError, TrainingError
from striate.deploy.model_file import write
from striate.deploy.trained import Trained
from striate.engines import select
from striate.explain.trained import trained_module
from striate.runs import read
from striate.studies.loaded import load
from tests.cli.conftest import striate
from tests.contracts.scheduler import InlineScheduler
from tests.studies.conftest import write_study

__all__ = ["striate"]

STUDY = """\
question: Does it train?
data: squares.npz
network: {import: "own_net:Small"}
recipe: {optimizer: {name: Adam, lr: 0.01}, batch_size: 16, epochs: 1, precision: float32}
seeds: 2
"""
NETWORK = """\
from own_parts import HIDDEN
from torch import nn

class Small(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.LazyLinear(HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, classes))
    def forward(self, x):
        return self.layers(x)
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A study file with its module beside it, and another working directory."""
    path = write_study(tmp_path / "study", STUDY)
    (path.parent / "own_net.py").write_text(NETWORK)
    (path.parent / "own_parts.py").write_text("HIDDEN = 4\n")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    yield path
    for name in ("own_net", "own_parts"):
        sys.modules.pop(name, None)


def run(path, tmp_path, **options):
    return load(path, out=tmp_path / "runs", **options).run(scheduler=InlineScheduler())


def test_it_runs_from_another_directory_and_keeps_its_code_in_the_run(study, tmp_path):
    results = run(study, tmp_path)
    assert results.is_complete
    kept = yaml.safe_load((tmp_path / "runs" / "study" / "base" / "seed-0" / "run.yaml").read_text())
    assert list(kept["code"]) == ["own_net", "own_parts"]
    assert results.rows[0].summary.parameters == 64 * 4 + 4 + 4 * 3 + 3
    assert run(tmp_path / "runs" / "study", tmp_path).table() == results.table()


def test_changed_code_is_another_run_and_never_mixed_into_one_arm(study, tmp_path):
    run(study, tmp_path)
    (study.parent / "own_parts.py").write_text("HIDDEN = 6\n")
    with pytest.raises(
        StudyError, match="seed-0: was trained with other code than own_parts has now, and one arm never has two"
    ):
        run(study, tmp_path, seeds=3)
    assert not (tmp_path / "runs" / "study" / "base" / "seed-2" / "run.yaml").exists()
    (study.parent / "own_parts.py").write_text("HIDDEN = 4\n")
    assert len(run(study, tmp_path, seeds=3).rows) == 3


def test_code_that_changes_while_a_study_runs_stops_the_next_run(study, tmp_path):
    plan = load(study, out=tmp_path / "runs").plan()
    (study.parent / "own_net.py").write_text(NETWORK.replace("ReLU", "Tanh"))
    with pytest.raises(TrainingError, match="the code of own_net is not that which this run was planned with"):
        select.train(plan.runs[0].job, tmp_path / "run")


def test_a_run_of_a_version_that_kept_no_code_is_not_mixed_either(study, tmp_path):
    run(study, tmp_path)
    path = tmp_path / "runs" / "study" / "base" / "seed-0" / "run.yaml"
    content = yaml.safe_load(path.read_text())
    del content["code"]
    content["fingerprint"] = "0" * 12
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(StudyError, match="was trained by a version that did not keep the code of own_net:Small"):
        load(study, out=tmp_path / "runs").plan()
    assert trained_module(path.parent)[1] == (1, 8, 8)


def test_other_settings_are_not_called_other_code(study, tmp_path):
    run(study, tmp_path)
    (study.parent / "own_parts.py").write_text("HIDDEN = 6\n")
    with pytest.raises(StudyError, match="holds a run with other settings"):
        load(study, "recipe.epochs=2", out=tmp_path / "runs").plan()


def test_a_trained_network_is_read_from_anywhere_with_the_code_that_it_was_trained_with(study, tmp_path):
    run(study, tmp_path)
    folder = tmp_path / "runs" / "study" / "base" / "seed-0"
    assert trained_module(folder)[1] == (1, 8, 8)
    (study.parent / "own_net.py").write_text(NETWORK.replace("ReLU", "Tanh"))
    with pytest.raises(NetworkError, match="was trained with other code than own_net has now; bring back the code"):
        trained_module(folder)
    (study.parent / "own_net.py").write_text(NETWORK)
    shutil.move(study.parent / "own_net.py", tmp_path / "elsewhere")  # the working directory
    shutil.move(study.parent / "own_parts.py", tmp_path / "elsewhere")
    assert trained_module(folder)[1] == (1, 8, 8)


def test_the_commands_find_it_from_another_directory(study, tmp_path, striate, monkeypatch):
    code, out, err = striate("check", study, "--no-time", "--layers")
    assert (code, err) == (0, "")
    assert "layers.1" in out
    run(study, tmp_path)
    folder = tmp_path / "runs" / "study" / "base" / "seed-0"
    images = tmp_path / "images"
    images.mkdir()
    from PIL import Image

    Image.new("L", (8, 8)).save(images / "a.png")
    assert striate("predict", folder, images)[0] == 0
    write(Trained.of(read(folder)), tmp_path / "model.safetensors")
    assert str(tmp_path).encode() not in (tmp_path / "model.safetensors").read_bytes()
    monkeypatch.chdir(study.parent)
    assert striate("predict", tmp_path / "model.safetensors", images)[0] == 0
    (study.parent / "own_parts.py").write_text("HIDDEN = 4  # changed\n")
    code, out, err = striate("predict", tmp_path / "model.safetensors", images)
    assert (code, out) == (1, "")
    assert err.endswith(
        "was trained with other code than own_parts has now; bring back the code that it was trained with\n"
    )


def test_an_override_is_relative_to_the_working_directory(study, tmp_path):
    (tmp_path / "elsewhere" / "own_here.py").write_text(
        NETWORK.replace("own_parts import HIDDEN", "math import tau\nHIDDEN = 5")
    )
    plan = load(study, "network.import=own_here:Small", out=tmp_path / "runs").plan()
    assert list(plan.runs[0].job.code) == ["own_here"]
    sys.modules.pop("own_here", None)
