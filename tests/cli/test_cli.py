"""The command line: what it prints, how it ends, and how it refuses."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from markupsafe import Markup

from striate import cli
from striate.cli.app import app
from striate.report import svg
from striate.studies.loaded import load
from tests.contracts.scheduler import InlineScheduler
from tests.needs import needs_program
from tests.studies.conftest import STUDY, write_study

OPTIONS = {
    "run": {
        "study",
        "overrides",
        "seeds",
        "size",
        "out",
        "device",
        "jobs",
        "on",
        "cpus_per_run",
        "gpus_per_run",
        "storage",
        "json",
    },
    "check": {
        "study",
        "overrides",
        "seeds",
        "size",
        "out",
        "device",
        "jobs",
        "on",
        "cpus_per_run",
        "gpus_per_run",
        "storage",
        "layers",
        "explain",
        "yaml",
        "time",
        "json",
    },
    "bench": {"network", "overrides", "input", "classes", "device", "batches", "seconds", "figure", "json"},
    "audit": {"source", "near", "report", "out", "json"},
    "status": {"folder", "json"},
    "report": {"folder", "figures", "latex"},
    "studies": {"json"},
    "init": {"file"},
    "summary": {"network", "overrides", "input", "classes", "json", "explain"},
    "networks": {"json", "explain"},
    "recipes": {"name", "json"},
    "engines": {"network", "overrides", "input", "classes", "json"},
    "judge": {
        "path",
        "arm",
        "seed",
        "metric",
        "run",
        "images",
        "step",
        "at",
        "compare",
        "baseline",
        "matters",
        "better",
        "kind",
        "unit",
        "test_images",
        "comparisons",
        "grown",
        "empty",
        "json",
        "report",
        "figures",
        "latex",
    },
    "explain": {
        "folder",
        "kinds",
        "layers",
        "units",
        "images",
        "class_name",
        "methods",
        "split",
        "limit",
        "data",
        "out",
        "device",
        "json",
    },
    "probe": {"network", "overrides", "input", "classes", "layer", "json"},
    "train": {"source", "minutes", "name", "network", "weights", "out", "device", "json"},
    "predict": {"model", "images", "ensemble", "top", "every", "device", "json"},
    "export": {"folder", "kind", "file", "data", "json"},
}


def test_the_options_are_these_and_no_more():
    """Knobs are in files; a new option needs a reason, and a line here."""
    import inspect

    found = {
        command.callback.__name__: set(inspect.signature(command.callback).parameters)
        for command in app.registered_commands
    }
    assert found == OPTIONS


def test_help_names_every_command(striate):
    code, out, _ = striate("--help")
    assert code == 0
    assert all(name in out for name in OPTIONS)


@pytest.mark.parametrize("name", OPTIONS)
def test_every_command_has_help(striate, name):
    code, out, _ = striate(name, "--help")
    assert code == 0
    assert "Usage" in out


def test_the_version_is_the_package_s(striate):
    assert striate("--version")[:2] == (0, f"striate {version('striate')}\n")


def test_studies_lists_each_with_its_question(striate):
    code, out, _ = striate("studies", "--json")
    assert code == 0
    listed = {study["name"]: study for study in json.loads(out)}
    assert {"quickstart", "does-batchnorm-help"} <= listed.keys()
    assert listed["does-batchnorm-help"]["question"].endswith("?")
    assert "quickstart" in striate("studies")[1]


def test_init_writes_a_study_that_runs_and_never_overwrites(striate, tmp_path):
    path = tmp_path / "mine.yaml"
    assert striate("init", path)[0] == 0
    assert load(path).study.comparisons
    path.write_text("mine")
    code, _, err = striate("init", path)
    assert (code, path.read_text()) == (1, "mine")
    assert err == f"striate: {path}: exists already and was not changed; choose another name\n"


def test_run_answers_reports_and_trains_nothing_twice(striate, finished, tmp_path):
    code, out, err = striate("run", finished, "--out", tmp_path / "runs")
    assert code == 0
    assert "With 3 seeds each, normalized" in out
    assert f"Report: {tmp_path / 'runs' / 'study' / 'report.html'}" in out
    assert "epoch" not in err
    assert (tmp_path / "runs" / "study" / "report.html").read_text().startswith("<!doctype html>")


def test_run_as_json_is_json_alone(striate, finished, tmp_path):
    code, out, _ = striate("run", finished, "--json", "--out", tmp_path / "runs")
    found = json.loads(out)
    assert code == 0
    assert found["complete"] is True
    assert found["verdicts"][0]["seeds"] == 3
    assert len(found["runs"]) == 6


def test_status_and_report_read_what_is_there(striate, finished, tmp_path):
    code, out, _ = striate("status", tmp_path / "runs")
    assert code == 0
    assert "6 runs: 6 finished" in out
    assert json.loads(striate("status", tmp_path / "runs", "--json")[1])[0]["study"] == "study"
    code, out, _ = striate("report", tmp_path / "runs" / "study")
    assert code == 0
    assert out.strip().endswith("report.html")


def test_report_writes_figures_and_tables_on_request(striate, finished, tmp_path, monkeypatch):
    drawn = svg.Drawing(svg=Markup('<svg viewBox="0 0 9 9"></svg>'))
    monkeypatch.setattr(svg, "render", lambda charts: [drawn for _ in charts])  # drawing takes seconds
    striate("run", finished, "--out", tmp_path / "runs")
    figures, tables = tmp_path / "paper" / "figures", tmp_path / "results.tex"
    code, out, _ = striate("report", tmp_path / "runs" / "study", "--figures", figures, "--latex", tables)
    assert code == 0
    assert (figures / "accuracies.pdf").is_file()
    assert tables.read_text(encoding="utf-8").count(r"\begin{tabular}") == 2
    assert f"{figures}: " in out
    assert str(tables) in out
    code, _, err = striate("report", tmp_path / "runs" / "study", "--latex", finished)
    assert code == 1
    assert "was not written by --latex" in err


def test_status_says_how_far_each_run_is(striate, finished, tmp_path):
    study = tmp_path / "runs" / "study"
    (study / "plain" / "seed-1" / "summary.json").unlink()
    shutil.rmtree(study / "plain" / "seed-2")
    code, out, _ = striate("status", study)
    assert code == 0
    assert "6 runs: 4 finished, 1 unfinished, 1 not started\n" in out
    assert "  plain seed 1: 2 of 2 epochs done\n" in out


def test_failed_and_diverged_runs_have_their_exit_code(striate, tmp_path):
    text = STUDY.replace("{network.norm: batch}", "{recipe.optimizer: {name: SGD, lr: 1e30}}")
    path = write_study(tmp_path, text)
    load(path, out=tmp_path / "runs").run(scheduler=InlineScheduler())
    code, out, _ = striate("run", path, "--out", tmp_path / "runs")
    assert code == cli.FAILED_RUNS
    assert "normalized seed 0 diverged: the loss stopped being a finite number" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "quickstrat"], "quickstrat: is no file and no built-in study; did you mean 'quickstart'?"),
        (["run", "gone.yaml"], "gone.yaml: there is no such file"),
        (
            ["run", "quickstart", "recipe.epochs=ten"],
            "on the command line: recipe.epochs: must be a whole number, got 'ten'",
        ),
        (["run", "quickstart", "epochs=10"], "on the command line: epochs: unknown key; known here: "),
        (
            ["check", "quickstart", "network.freeze=up-to conv9"],
            "freeze: no layer 'conv9' with parameters; did you mean 'conv",
        ),
        (["run", "quickstart", "--jobs", "many"], "--jobs: must be 'auto' or a number from 1 to "),
        (["run", "quickstart", "--jobs", "0"], "on this machine, got '0'"),
        (["run", "quickstart", "--jobs", "999999999999"], "on this machine, got '999999999999'"),
        (["run", "quickstart", "--jobs", "9" * 5000], "on this machine, got '99999999999999999999'"),
        (["check", "quickstart", "--jobs", ""], "on this machine, got ''"),
        (["run", "quickstart", "--seeds", "0"], "--seeds: must be a number from 1 to 1000, got 0"),
        (
            ["run", "quickstart", "--seeds", "999999999999"],
            "--seeds: must be a number from 1 to 1000, got 999999999999",
        ),
        (["run", "quickstart", "--device", "gpu"], "--device: must be one of auto, cpu, cuda, mps, got 'gpu'"),
        (["run", "quickstart", "--device", ""], "--device: must be one of auto, cpu, cuda, mps, got ''"),
        (["run", "quickstart", "--out", ""], "Invalid value for '--out': must not be empty"),
        (["check", "quickstart", "--out", " "], "Invalid value for '--out': must not be empty"),
        (["status", ""], "Invalid value for 'FOLDER': must not be empty"),
        (["report", ""], "Invalid value for 'FOLDER': must not be empty"),
        (["init", ""], "Invalid value for 'FILE': must not be empty"),
        (
            ["run", "quickstart", "--jobs", "1", "recipe.optimizer.name=Sdg"],
            "arm 'plain': recipe.optimizer.name: torch has no optimizer 'Sdg' for this; did you mean 'SGD'?",
        ),
        (
            ["run", "quickstart", "network.layers=conv8k40p0"],
            "arm 'plain' on digits (1x32x32): layer conv1: a 40-wide kernel does not fit the 1x32x32 map",
        ),
        (["run", "quickstart", "data=no-such-folder"], "no-such-folder"),
        (
            ["check", "quickstart", "network.norm=bach"],
            "on the command line: network.norm: must be one of 'none', 'batch', 'layer', 'group' or 'instance', got 'bach'",
        ),
        (
            ["status", "no-such-folder"],
            "no-such-folder: there is no such folder; give the one that 'striate run --out' wrote to",
        ),
        (["report", "."], ".: holds no study (no study.yaml); give the folder that 'striate run' named"),
        (["init", "study.txt"], "study.txt: a study file ends in .yaml; write 'study.yaml'"),
        (["runn"], "No such command 'runn'"),
        (["run"], "Missing argument 'STUDY'"),
        (["run", "quickstart", "--seed", "3"], "No such option"),
        (["run", "quickstart", "--seeds", "three"], "Invalid value for '--seeds'"),
    ],
)
def test_a_wrong_use_is_one_sentence_and_exit_code_1(striate, words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = striate(*words)
    assert code == 1
    assert err.startswith("striate: ")
    assert message in err
    assert "Traceback" not in err
    assert out == ""
    assert not list(tmp_path.iterdir())


def test_an_error_of_ours_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["striate", "studies"])
    monkeypatch.setattr("striate.cli.studies.built_in", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError, match="division by zero"):
        cli.main()


def test_ctrl_c_in_a_command_that_only_reads_ends_without_a_traceback(striate, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("striate.cli.studies.built_in", interrupted)
    code, out, err = striate("studies")
    assert (code, out) == (cli.INTERRUPTED, "")
    assert "Traceback" not in err


# From here on real processes: what only a terminal and a signal can show.


HERE = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}  # this checkout, whatever is installed


def start(tmp_path, *words):
    command = [sys.executable, "-m", "striate", *map(str, words)]
    return subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=HERE)


def wait_for(process, text):
    """Read stderr until `text` comes."""
    for line in process.stderr:
        if text in line:
            return
    raise AssertionError(f"ended without saying {text!r}")


# On NumPy, because each new process that imports torch takes two seconds.
SMALL = STUDY.replace("recipe:\n", "recipe:\n  engine: numpy\n").replace("seeds: 2", "seeds: 1")
LONG = SMALL.replace("epochs: 2", "epochs: 60").replace("  normalized: {network.norm: batch}\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
def test_ctrl_c_saves_and_the_printed_command_resumes(tmp_path):
    path = write_study(tmp_path, LONG)
    process = start(tmp_path, "run", path, "--out", "runs")
    wait_for(process, "epoch 1/60")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == cli.INTERRUPTED
    assert f"To resume: striate run {path} --out runs" in err
    assert "Traceback" not in err
    assert "plain seed 0: stopped and saved" in err
    saved = tmp_path / "runs" / "study" / "plain" / "seed-0"
    assert (saved / "last.npz").exists()
    assert not (saved / "summary.json").exists()
    first_epoch = (saved / "metrics.jsonl").read_text().splitlines()[0]
    process = start(tmp_path, "run", path, "--out", "runs", "--json")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0
    assert json.loads(out)["complete"] is True
    assert (saved / "metrics.jsonl").read_text().splitlines()[0] == first_epoch, "trained again, not resumed"


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
def test_a_killed_study_leaves_no_process_behind_and_can_be_resumed(tmp_path):
    import psutil

    path = write_study(tmp_path, LONG.replace("epochs: 60", "epochs: 100000"))
    process = start(tmp_path, "run", path, "--out", "runs")
    wait_for(process, "epoch 1/")
    workers = psutil.Process(process.pid).children(recursive=True)
    assert workers
    process.kill()
    process.communicate()
    gone, alive = psutil.wait_procs(workers, timeout=60)
    assert gone
    assert not alive
    study = load(path, out=tmp_path / "runs")
    assert [run.state for run in study.plan().runs] == ["unfinished"]
    assert (study.folder / "plain" / "seed-0" / "last.npz").exists()


def test_the_module_is_the_command(tmp_path):
    out, _ = start(tmp_path, "--version").communicate()
    assert out == f"striate {version('striate')}\n"


def test_output_into_a_closed_pipe_is_no_error(tmp_path):
    command = f"{sys.executable} -m striate studies --json | head -c 1 > /dev/null"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=tmp_path, check=False, env=HERE)
    assert "Traceback" not in done.stderr


def test_on_a_terminal_there_are_bars(tmp_path):
    path = write_study(tmp_path, SMALL)
    words = f"{sys.executable} -m striate run {path} --out {tmp_path / 'runs'}"
    done = subprocess.run(
        [needs_program("script"), "-qec", words, "/dev/null"],
        capture_output=True,
        text=True,
        check=False,
        env={**HERE, "COLUMNS": "120", "TERM": "xterm"},
    )
    assert done.returncode == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", done.stdout)
    assert "2 of 2 runs done" in plain
    assert "images/s" in plain
