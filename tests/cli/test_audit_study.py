"""`striate audit` of a study: the features of its best network, and what is said without one."""

import json

import pytest

from striate.audit import near
from striate.audit.suspects import Suspect
from striate.cli import audit
from striate.runs import layout
from striate.studies.audited import network_for, read_audit
from striate.studies.results import Results


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Comparisons with turns are slow: few of them."""
    monkeypatch.setattr(near, "MIN_TURNED", 10)
    monkeypatch.setattr(near, "TURNED_SHARE", 0.0)


def test_the_features_of_the_median_run_of_the_best_arm_are_used(striate, finished):
    folder = finished.parent / "runs" / "study"
    results = Results.read(folder)
    digest = results.rows[0].data.digest
    row, words = network_for(results, digest)
    means = {arm.name: sum(each.test_accuracy for each in results.of(arm.name)) for arm in results.arms}
    assert means[row.arm] == max(means.values())
    assert sorted(each.test_accuracy for each in results.of(row.arm))[1] == row.test_accuracy
    assert words == f"{row.arm}, seed {row.seed} (the median of 3 runs of the arm with the best mean test accuracy)"
    code, out, _ = striate("audit", folder, "--out", folder.parent)
    assert code == 0
    assert f"  Features of {words}." in out.splitlines()
    assert "perhaps alike, one of them turned: none" in out
    code, out, _ = striate("audit", folder, "--out", folder.parent, "--json")
    (data,) = json.loads(out)["datasets"]
    assert (data["turned"], data["features"]) == ([], f"Features of {words}.")
    page = (folder / layout.AUDIT_PAGE).read_text()
    assert "Perhaps alike, one of them turned" in page
    assert words in dict(read_audit(folder).datasets[0].findings)["Perhaps alike, one of them turned"]


def test_without_weights_a_sentence_says_so(striate, finished):
    folder = finished.parent / "runs" / "study"
    for path in folder.rglob("*.safetensors"):
        path.unlink()
    code, out, _ = striate("audit", folder, "--out", folder.parent)
    assert code == 0
    assert "  Features are left out: no run folder has weights." in out.splitlines()
    assert "turned:" not in out


def test_before_any_run_a_sentence_says_so(striate, finished, tmp_path):
    code, out, _ = striate("audit", finished, "--out", tmp_path / "elsewhere")
    assert code == 0
    assert "  Features are left out: no run has trained yet." in out.splitlines()


def test_weights_that_do_not_fit_are_said_and_the_audit_goes_on(striate, finished):
    folder = finished.parent / "runs" / "study"
    row, _ = network_for(Results.read(folder), Results.read(folder).rows[0].data.digest)
    (row.run.folder / layout.BEST).write_bytes(b"torn")
    code, out, _ = striate("audit", folder, "--out", folder.parent)
    assert code == 0
    (line,) = [line for line in out.splitlines() if "Features are left out" in line]
    assert layout.BEST in line


def test_without_near_duplicates_there_is_no_word_of_features(striate, finished):
    folder = finished.parent / "runs" / "study"
    _, out, _ = striate("audit", folder, "--out", folder.parent, "--no-near")
    assert "Features" not in out


def test_suspected_labels_stand_beside_how_often_the_network_is_right(striate, finished, monkeypatch):
    folder = finished.parent / "runs" / "study"
    results = Results.read(folder)
    arm = results.arms[0].name
    suspect = Suspect(image=0, label=0, answer=1, of_label=0.1, of_answer=0.9, agreeing=3, runs=3)
    monkeypatch.setattr(audit, "suspected_labels", lambda _, name: (suspect, suspect) if name == arm else ())
    right = sum(row.test_accuracy for row in results.of(arm)) / len(results.of(arm))
    _, out, _ = striate("audit", folder, "--out", folder.parent, "--no-near")
    said = f"2 test labels to look at, by the runs of {arm}, which get {right:.0f} % of the test images right;"
    assert said in " ".join(out.split())
    assert "A network that is often wrong suspects many labels that are right." in out
