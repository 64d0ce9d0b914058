"""Commands in this process (another one takes a second to start), and a finished study."""

import shutil
import sys

import pytest

from striate import cli
from striate.studies.loaded import load
from tests.contracts.scheduler import InlineScheduler
from tests.studies.conftest import STUDY, write_study


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A study of three seeds that is done, in runs/ beside its file."""
    folder = tmp_path_factory.mktemp("trained")
    path = write_study(folder, STUDY.replace("seeds: 2", "seeds: 3"))
    load(path, out=folder / "runs").run(scheduler=InlineScheduler())
    return folder


@pytest.fixture
def finished(trained, tmp_path):
    """A copy of it that a test may change."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return tmp_path / "study.yaml"


@pytest.fixture
def striate(monkeypatch, capsys):
    """Run a command in this process; gives (exit code, stdout, stderr)."""

    def command(*words):
        monkeypatch.setattr(sys, "argv", ["striate", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return command
