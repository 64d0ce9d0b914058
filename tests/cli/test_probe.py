"""`striate probe` prints what it measures, of a network in the notation and of a run."""

import json

import pytest


def test_the_table_of_a_network(striate):
    words = ("probe", "conv4 pool fc8", "norm=batch", "--input", "1x12x12")
    code, out, _ = striate(*words)
    assert code == 0
    assert all(name in out for name in ("conv1", "pool1", "fc1", "kernel"))
    rows = json.loads(striate(*words, "--json")[1])
    assert [row["layer"] for row in rows[:4]] == ["conv1", "conv1_norm", "conv1_activation", "pool1"]
    assert rows[0]["shift_equivariant"] == "to every shift, in the interior"


def test_one_layer_with_its_impulse_response(striate):
    code, out, _ = striate("probe", "conv4", "--layer", "conv1")
    assert code == 0
    assert "conv1: the response of output channel 0 to a 1 in input channel 0" in out
    data = json.loads(striate("probe", "conv4", "--layer", "conv1", "--json")[1])
    assert data[0]["shift_equivariant"] == "to every shift, in the interior"
    assert f"{data[0]['impulse'][0][0][1][1]:9.4f}" in out


def test_the_layers_of_a_run(striate, finished):
    run = finished.parent / "runs" / "study" / "normalized" / "seed-0"
    data = json.loads(striate("probe", run, "--json")[1])
    assert data[-1]["layer"] == "network"
    # What training has made of the norm is no longer without a shift.
    assert next(one for one in data if one["layer"] == "conv1_norm")["linear"] == "but for its bias"


@pytest.mark.parametrize("extra", [["norm=batch"], ["--input", "3x8x8"], ["--classes", "3"]])
def test_a_run_has_its_own_network_and_images(extra, striate, finished):
    run = finished.parent / "runs" / "study" / "plain" / "seed-0"
    code, _, err = striate("probe", run, *extra)
    assert (code, err) == (
        1,
        f"striate: {run}: is a run, which has its own network and images; leave the other words out\n",
    )


def test_what_is_no_network_is_refused(striate):
    code, _, err = striate("probe", "cnv4")
    assert (code, err.count("\n") >= 1) == (1, True)
    code, _, err = striate("probe", "conv4", "--layer", "conv2")
    assert (code, err.startswith("striate: layer 'conv2': the network has no such layer")) == (1, True)


def test_a_folder_without_a_run_is_refused_as_one(striate, finished):
    folder = finished.parent / "runs" / "study"
    code, _, err = striate("probe", folder)
    assert (code, err) == (
        1,
        f"striate: {folder}: is a folder that holds no run (no run.yaml); give a run's folder, such as runs/my/plain/seed-0\n",
    )
