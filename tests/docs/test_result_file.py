"""A study's small file gives back what verdicts and figures need, and nothing of the machine that it was made on."""

import json
import lzma

import numpy as np
import pytest
import yaml
from making import result_file

from striate.report import curves, figures
from striate.studies.results import Results
from tests.report import folders

CLAIM = {"says": "better with it", "source": "somebody", "relation": "normalized is better than plain"}


@pytest.fixture
def study(tmp_path):
    return folders.answered(tmp_path / "asked", claims=[CLAIM])


def restored(content, tmp_path):
    path = tmp_path / "small.json.xz"
    path.write_bytes(content)
    return Results.read(result_file.restore(path, tmp_path / "restored"))


def test_the_same_is_judged_and_drawn(study, tmp_path):
    before, after = Results.read(study), restored(result_file.pack(study)[1], tmp_path)
    assert before.verdicts[0].new_images is not None
    assert before.verdicts == after.verdicts
    assert before.claims == after.claims
    assert before.table() == after.table()
    assert figures.accuracies(before) == figures.accuracies(after)
    ends = [figure.panels[-1].arms[0].means[-1].mean for figure in map(curves.curves, (before, after))]
    assert ends[0] == pytest.approx(ends[1], rel=1e-4)


def test_another_answer_to_one_image_would_be_found(study, tmp_path):
    before = Results.read(study).verdicts
    path = study / "plain" / "seed-0" / "predictions.npz"
    with np.load(path) as arrays:
        logits, labels = arrays["test_logits"], arrays["test_labels"]
    logits[0] = np.roll(logits[0], 1)
    np.savez(path, test_logits=logits, test_labels=labels)
    assert before[0].spread != restored(result_file.pack(study)[1], tmp_path).verdicts[0].spread


def test_it_is_small_and_has_no_weights_and_no_path(study, tmp_path):
    content = yaml.safe_load((study / "study.yaml").read_text())
    content["data"] = "/home/somebody/images/digits"
    (study / "study.yaml").write_text(yaml.safe_dump(content))
    packed = result_file.pack(study)[1]
    text = lzma.decompress(packed).decode()
    assert len(packed) < 10_000
    assert json.loads(text)["study"]["data"] == "./digits"
    assert "somebody/" not in text
    assert "logits" not in text


def test_a_study_with_missing_runs_is_kept_on_request_only(tmp_path):
    study = folders.troubled(tmp_path / "asked")
    with pytest.raises(ValueError, match=r"has no result of .*wide seed 0 .missing.*run the study to its end"):
        result_file.pack(study)
    results = restored(result_file.pack(study, is_incomplete=True)[1], tmp_path)
    assert [row.state for row in results.of("wide")] == ["missing"] * 3
    assert [row.state for row in results.of("fast")] == ["diverged", "finished", "finished"]


def test_a_file_of_another_format_is_refused(tmp_path):
    path = tmp_path / "newer.json.xz"
    path.write_bytes(lzma.compress(b'{"format": 2}'))
    with pytest.raises(ValueError, match="has format 2, this version reads 1; add the study again"):
        result_file.restore(path, tmp_path / "restored")
