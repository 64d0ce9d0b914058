"""`striate summary` and `striate networks` as a user meets them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from striate import cli
from striate.nets import NETWORKS

ROOT = Path(__file__).parents[2]


def striate(*words, monkeypatch, capsys):
    """(exit code, what came out, what was complained of)."""
    monkeypatch.setattr(sys, "argv", ["striate", *words])
    monkeypatch.setenv("COLUMNS", "160")
    with pytest.raises(SystemExit) as ended:
        cli.main()
    printed = capsys.readouterr()
    return ended.value.code, printed.out, printed.err


@pytest.fixture
def run(monkeypatch, capsys):
    return lambda *words: striate(*words, monkeypatch=monkeypatch, capsys=capsys)


def test_the_table_of_a_named_network_is_for_its_own_images(run):
    code, out, _ = run("summary", "report-e")
    assert code == 0
    assert "16,154,950" in out
    assert "input 0.75, forward/backward 218.82, parameters 61.63, total 281.19" in out


@pytest.mark.parametrize(
    ("words", "meaning"),
    [(["summary", "conv8"], "outputs of conv and fc layers"), (["networks"], "weights, biases, scales and shifts")],
)
def test_the_columns_are_explained_when_asked_for(run, words, meaning):
    assert meaning not in run(*words)[1]
    assert meaning in run(*words, "--explain")[1]


def test_the_images_and_classes_can_be_said(run):
    code, out, _ = run("summary", "conv256", "--input", "1x8x8", "--classes", "2", "--json")
    data = json.loads(out)
    assert code == 0
    assert [row["parameters"] for row in data["rows"]] == [2560, 0, 2 * 256 * 64 + 2]
    assert data["input_shape"] == [1, 8, 8]


def test_what_is_said_beside_a_network_counts(run):
    plain = json.loads(run("summary", "report-d", "--json")[1])["totals"]["parameters"]
    normed = json.loads(run("summary", "report-d", "norm=batch", "--json")[1])["totals"]["parameters"]
    assert normed - plain == 2 * (64 + 128 + 256 + 256 + 1024 + 1024)


def test_a_network_can_be_given_by_keys_alone(run):
    code, out, _ = run("summary", "family=stack", "conv=2", "fc=1", "--json")
    assert code == 0
    assert [row["name"] for row in json.loads(out)["rows"]][:1] == ["conv1"]


def test_the_json_has_everything_that_the_text_has(run):
    data = json.loads(run("summary", "report-d", "--json")[1])
    row = data["rows"][0]
    assert (row["formula"], row["macs"], row["field"]["status"]) == ("64 x 3 x 3 x 3 + 64", 1_769_472, "exact")
    assert row["field"]["size"] == [3, 3]
    assert data["totals"]["neurons_of"] == {"conv": 131_072, "fc": 2_058}
    assert set(data["meaning"]) >= {"neurons", "multiply-adds", "exact", "upper bound"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["conv8 pool convx8"], "did you mean 'conv'?\n  conv8 pool convx8\n             ^"),
        (["conv8", "norm=bach"], "on the command line: norm: must be one of"),
        (["conv8", "norm"], "an override is written key.sub=value, got 'norm'"),
        (["conv8", "--input", "3x32"], "--input: must be channels x height x width, as in 3x32x32, got '3x32'"),
        (["conv8", "--input", "3x0x32"], "got '3x0x32'"),
        (["conv8", "--input", "3x100001x32"], "--input: a side is at most 100,000 pixels, got 100001"),
        (
            ["conv8", "--input", f"3x{'9' * 5000}x32"],
            "--input: a side is at most 100,000 pixels, got 99999999999999999999...",
        ),
        (["conv8", "--classes", "1"], "--classes"),
        (["reportd"], "did you mean 'report-d'?"),
        (["nrm=2"], "nrm: unknown key; did you mean 'norm'?"),
        (["conv8 pool pool", "--input", "3x2x2"], "layer pool2"),
        (["torchvision=resnet17"], "did you mean 'resnet"),
    ],
)
def test_an_error_is_one_sentence(run, words, message):
    code, out, err = run("summary", *words)
    assert (code, out) == (1, "")
    assert err.startswith("striate: ")
    assert message in err


FACTORY = """
from torch import nn

def small(classes, hidden=3):
    if hidden % 2:
        raise ValueError(f"hidden must be even, got {hidden}")
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(hidden), nn.Linear(hidden, classes))
"""
STUDY = """
question: does it run?
data: digits
network: {import: 'mine:small'}
recipe: {epochs: 1}
seeds: 3
"""


@pytest.mark.parametrize("words", [["summary", "import=mine:small"], ["check", "study.yaml"]])
def test_a_factory_that_raises_is_reported_in_one_sentence_with_the_users_line(run, tmp_path, monkeypatch, words):
    (tmp_path / "mine.py").write_text(FACTORY)
    (tmp_path / "study.yaml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    code, _, err = run(*words)
    sys.modules.pop("mine", None)
    assert code == 1
    first, *frames = err.splitlines()
    assert first.startswith("striate: ")
    assert first.endswith("import: mine:small(classes=10) failed with ValueError: hidden must be even, got 3")
    assert [line.strip() for line in frames] == [
        f'File "{tmp_path / "mine.py"}", line 6, in small',
        'raise ValueError(f"hidden must be even, got {hidden}")',
    ]


def test_all_names_are_listed_with_their_costs(run):
    rows = {row["name"]: row for row in json.loads(run("networks", "--json")[1])}
    assert list(rows) == list(NETWORKS)
    assert (rows["report-a"]["parameters"], rows["report-a-3d"]["parameters"]) == (1_860, 957_706)
    assert rows["report-d"]["macs"] == 82_520_064
    assert all(row["parameters"] and row["macs"] and row["source"] for row in rows.values())


def test_the_list_is_readable(run, monkeypatch):
    few = {name: NETWORKS[name] for name in ("report-a", "report-d")}
    monkeypatch.setattr("striate.cli.network.NETWORKS", few)
    assert run("networks")[1].splitlines()[:3] == [
        "network    parameters   multiply-adds  images      classes",
        "report-a        1,860          53,648  1x32x32          10",
        "report-d    6,216,074      82,520,064  3x32x32          10",
    ]


def test_a_summary_needs_no_torch():
    code = "import runpy, sys; sys.argv = ['striate', 'summary', 'report-e']\n"
    code += "try: runpy.run_module('striate', run_name='__main__')\nexcept SystemExit: pass\n"
    code += "heavy = {'torch', 'torchvision', 'scipy', 'sklearn'} & set(sys.modules)\nassert not heavy, heavy"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
