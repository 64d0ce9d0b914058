"""`striate judge`."""

import json

import pytest


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "results.csv"
    rows = [
        f"{arm},{seed},{90 + effect + seed / 4}" for arm, effect in (("a", 0), ("b", 2), ("c", 0)) for seed in range(8)
    ]
    path.write_text("\n".join(["arm,seed,test_acc", *rows]))
    return path


def test_the_command_prints_how_it_read_the_file_and_the_verdicts(striate, table):
    code, out, _ = striate("judge", table)
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == f"{table}: 3 arms, 8 seeds (CSV)"
    assert lines[1:3] == ["  arm     column 'arm': a, b, c", "  seed    column 'seed': 0, 1, 2, 3, 4, 5, 6, 7"]
    assert [line for line in lines if "clearly better on these test images" in line]
    data = json.loads(striate("judge", table, "--json", "--compare", "b - c")[1])
    assert [verdict["comparison"] for verdict in data["verdicts"]] == ["b - c"]
    assert data["values"]["b"]["1"] == 92.25


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--as", "centimetres"], "--as: must be one of percent, share, plain, ratio, got 'centimetres'"),
        (["--better", "up"], "--better: must be one of higher, lower"),
        (["--at", "first"], "--at: must be last, max, min or a step"),
        (["--matters", "0"], "--matters: must be above 0"),
        (["--matters", "nan"], "--matters: must be above 0"),
        (["--empty", "x"], "--empty: must be one of missing, diverged"),
    ],
)
def test_the_command_refuses_options_that_mean_nothing(words, message, striate, table):
    code, out, error = striate("judge", table, *words)
    assert (code, out) == (1, "")
    assert message in error
