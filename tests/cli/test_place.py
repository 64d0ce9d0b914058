"""Where a command trains: what it refuses before anything is trained."""

import sys

import pytest

from tests.needs import needs_package
from tests.studies.conftest import STUDY, write_study


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (["--on", "cloud"], "--on: must be here, ray or ray://HOST:PORT, got 'cloud'"),
        (
            ["--on", "ray://somewhere"],
            "--on: the address of a Ray cluster must be ray://HOST:PORT, got 'ray://somewhere'",
        ),
        (
            ["--on", "ray://127.0.0.1:1"],
            "--on ray: no cluster at ray://127.0.0.1:1 (Connection refused); start one with 'ray start --head', "
            "or leave the address out to use this machine alone",
        ),
        (["--cpus-per-run", "2"], "--cpus-per-run: is for --on ray, got it without; leave it out, or add --on ray"),
        (["--on", "ray", "--cpus-per-run", "0"], "--cpus-per-run: must be a number above 0 to 1024, got 0"),
        (
            ["--on", "ray", "--gpus-per-run", "1.5"],
            "--gpus-per-run: must be a whole number above 1, because a run cannot have parts of several GPUs, got 1.5",
        ),
        (["--on", "ray", "--storage", "disk"], "--storage: must be one of auto, shared, copied, got 'disk'"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(striate, tmp_path, words, rule):
    if "127.0.0.1" in words[1]:
        needs_package("ray")
    path = write_study(tmp_path, STUDY)
    for command in ("run", "check"):
        assert striate(command, path, "--out", tmp_path / "runs", *words) == (1, "", f"striate: {rule}\n")
    assert not (tmp_path / "runs").exists()


def test_without_ray_the_extra_is_named(striate, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    path = write_study(tmp_path, STUDY)
    code, _, err = striate("run", path, "--on", "ray", "--out", tmp_path / "runs")
    assert (code, err) == (1, "striate: --on ray needs ray: pip install 'striate[ray]'\n")
