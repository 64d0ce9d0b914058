"""The key `log` of a study file: from the file to the processes that train, and back to the user."""

import json

import pytest

from striate.core.errors import ConfigError, MissingExtra
from striate.runs import layout
from striate.studies.execute.local import LocalScheduler
from striate.studies.loaded import load
from striate.tracking import LOGGERS
from tests.contracts.planted_loggers import Quiet
from tests.contracts.scheduler import InlineScheduler
from tests.needs import needs_package
from tests.studies.conftest import STUDY, write_study

# A package in the real one's place, in every process of the test: the logger imports it and it fails.
RAISING = "raise OSError('the disk of the events is full')"
SLEEPING = "import time\ntime.sleep(1_000_000)"


@pytest.fixture
def broken_package(tmp_path, monkeypatch):
    def make(code):
        (tmp_path / "packages" / "tensorboard").mkdir(parents=True)
        (tmp_path / "packages" / "tensorboard" / "__init__.py").write_text(code)
        monkeypatch.syspath_prepend(tmp_path / "packages")

    return make


def test_it_is_one_name_or_a_list_and_can_be_overridden(tmp_path):
    path = write_study(tmp_path, STUDY + "log: [tensorboard, mlflow]\n")
    assert load(path).study.log == ("tensorboard", "mlflow")
    assert load(path, "log=[wandb]").study.log == ("wandb",)
    assert load(path, "log=wandb").study.log == ("wandb",)
    assert load(path, "log=[]").study.log == ()


def test_an_unknown_name_has_its_line_and_the_nearest_one(tmp_path):
    path = write_study(tmp_path, STUDY + "log: [tensorboard, mflow]\n")
    line = len(path.read_text().splitlines())
    with pytest.raises(ConfigError, match=f"line {line}: log: no logger is called 'mflow'; did you mean 'mlflow'?"):
        load(path)


def test_it_decides_nothing(tmp_path):
    """The same runs, and a study that is done stays done."""
    path = write_study(tmp_path, STUDY)
    plain, logging = load(path), load(path, "log=[tensorboard]")
    assert [run.job.fingerprint for run in plain.plan().runs] == [run.job.fingerprint for run in logging.plan().runs]
    assert plain.study.identity() == logging.study.identity()


def test_an_arm_cannot_change_it(tmp_path):
    path = write_study(tmp_path, STUDY.replace("plain: {}", "plain: {log: wandb}"))
    with pytest.raises(ConfigError, match="an arm changes data, network or recipe"):
        load(path)


def test_a_package_that_is_absent_is_told_before_anything_is_trained(tmp_path, monkeypatch):
    monkeypatch.setattr(LOGGERS["tensorboard"], "package", "no_such_package")
    study = load(write_study(tmp_path, STUDY), "log=tensorboard", out=tmp_path / "runs")
    with pytest.raises(MissingExtra, match=r"pip install 'striate\[tensorboard\]'"):
        study.run()
    assert not (tmp_path / "runs").exists()


def test_each_run_of_a_study_is_logged_under_its_name(tmp_path, monkeypatch):
    monkeypatch.setitem(LOGGERS, "planted", Quiet)
    load(write_study(tmp_path, STUDY), "log=planted", out=tmp_path / "runs").run(scheduler=InlineScheduler())
    first_lines = {path.read_text().splitlines()[0] for path in (tmp_path / "runs").rglob("quiet.txt")}
    assert first_lines == {f"start {arm} seed {seed} after 0" for arm in ("plain", "normalized") for seed in (0, 1)}


@pytest.mark.parametrize(
    ("code", "what"),
    [
        (RAISING, "the disk of the events is full"),
        pytest.param(SLEEPING, "did not end in time after the run", marks=pytest.mark.slow),  # waits for it
    ],
)
def test_a_broken_logger_in_the_processes_that_train_is_told_once(tmp_path, broken_package, code, what):
    broken_package(code)
    study = load(
        write_study(tmp_path, STUDY), "log=tensorboard", "recipe.engine=numpy", "seeds=1", out=tmp_path / "runs"
    )
    with pytest.warns(UserWarning, match=f"logger 'tensorboard' was given up: .*{what}") as warned:
        results = study.run(scheduler=LocalScheduler(2, 1, "cpu"))
    assert len(warned) == 1
    assert results.is_complete
    plain = load(tmp_path / "study.yaml", "recipe.engine=numpy", "seeds=1", out=tmp_path / "plain").run(
        scheduler=InlineScheduler()
    )
    assert [row.test_accuracy for row in results.rows] == [row.test_accuracy for row in plain.rows]
    for folder in (tmp_path / "runs").rglob("seed-0"):
        assert what in (folder / layout.LOG).read_text()


def test_the_command_line_tells_it_once_too(tmp_path, broken_package, capsys, monkeypatch):
    from striate.cli import main

    broken_package(RAISING)
    path = write_study(tmp_path, STUDY)
    monkeypatch.setattr(
        "sys.argv", ["striate", "run", str(path), "log=tensorboard", "recipe.engine=numpy", "--seeds", "1"]
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert capsys.readouterr().err.count("logger 'tensorboard' was given up") == 1


def test_tensorboard_in_the_processes_that_train(tmp_path):
    needs_package("tensorboard")
    from tests.tracking.test_logger_libraries import tensorboard_events

    study = load(write_study(tmp_path, STUDY), "log=tensorboard", "seeds=1", out=tmp_path / "runs")
    for row in study.run(scheduler=LocalScheduler(2, 1, "cpu")).rows:
        scalars = tensorboard_events(row.run.folder).Scalars("train_loss")
        rows = [json.loads(line) for line in (row.run.folder / layout.METRICS).read_text().splitlines()]
        assert [(event.step, event.value) for event in scalars] == [
            (line["epoch"], pytest.approx(line["train_loss"])) for line in rows
        ]
