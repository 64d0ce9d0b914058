"""The section "Inside the network": which runs it shows, and that it shows only pictures of the weights that are there."""

import base64
import json

import pytest

from striate.report import inside as section
from striate.report.answers import StudyAnswers
from striate.report.inside import MOST_BYTES, inside, median_runs
from striate.report.pages import build
from striate.runs.files import write_text
from striate.studies.results import Results
from tests.report import folders
from tests.report.explained import NAMES, explain, png, record
from tests.report.reading import Page


def results(folder, **changes):
    return Results.read(folders.two_arms(folder / "my study", **changes))


def runs(of):
    return [
        of.folder / "plain" / "seed-2",
        of.folder / "normalized" / "seed-0",
    ]  # 94.8 of 94.4 to 95.1, 96.8 of 96.3 to 97.1


def test_the_runs_are_those_of_the_median(tmp_path):
    found = median_runs(StudyAnswers(results(tmp_path)))
    assert [(row.arm, row.seed) for row in found] == [("plain", 2), ("normalized", 0)]
    folder = folders.write_study(tmp_path / "even", arms=None, compare=None, seeds=4)
    for seed, share in enumerate((0.9, 0.7, 0.8, 0.6)):
        folders.write_run(folder, "base", seed, test=share)
    assert [row.seed for row in median_runs(StudyAnswers(Results.read(folder)))] == [1]
    folders.write_run(folder, "base", 4, test=0.101, at_chance=True)  # did not train
    assert [row.seed for row in median_runs(StudyAnswers(Results.read(folder)))] == [1]


def test_without_pictures_one_line_has_the_command(tmp_path):
    found = results(tmp_path)
    page = Page(build(found))
    assert (
        "The pictures of plain, seed 2 and of normalized, seed 0 are not made yet: striate explain 'runs/my study' makes them"
        in page.text
    )
    assert not [tag for tag, _ in page.elements if tag == "img"]
    assert "plain with seed 2 (the median of 3 runs by test accuracy)" in page.text


def test_the_pictures_are_in_the_page_with_their_texts(tmp_path):
    found = results(tmp_path)
    for run in runs(found):
        explain(run)
    source = build(found)
    page = Page(source)
    pictures = [attributes for tag, attributes in page.elements if tag == "img"]
    contents = [base64.b64decode(picture["src"].removeprefix("data:image/png;base64,")) for picture in pictures]
    assert contents == 2 * [png(seed=0), png(seed=1)]
    assert [picture["alt"] for picture in pictures] == 2 * [f"Picture {name}" for name in NAMES]
    assert "What it &lt;shows&gt;." in source
    assert "Inside plain, seed 2" in page.text
    assert "are not made yet" not in page.text
    assert build(found) == source


def test_one_run_without_pictures_is_named(tmp_path):
    found = results(tmp_path)
    explain(runs(found)[0])
    shown = inside(StudyAnswers(found))
    assert [network.title for network in shown.networks] == ["plain, seed 2"]
    assert shown.missing == "normalized, seed 0"


def _another_file(folder):
    (folder.parents[1] / "secret.png").write_bytes(png())
    write_text(
        folder / "explain.json",
        (folder / "explain.json").read_text().replace("filters-conv1.png", "../../secret.png"),
    )


SPOILED = {
    "weights trained again": lambda folder: (folder.parents[1] / "best.safetensors").write_bytes(b"others"),
    "weights gone": lambda folder: (folder.parents[1] / "best.safetensors").unlink(),
    "a picture gone": lambda folder: (folder / f"{NAMES[1]}.png").unlink(),
    "a picture that is none": lambda folder: (folder / f"{NAMES[1]}.png").write_bytes(b"<script>"),
    "a file of another folder": _another_file,
    "a torn record": lambda folder: (folder / "explain.json").write_text('{"run": '),
    "a record of another version": lambda folder: (folder / "explain.json").write_text(
        json.dumps(json.loads((folder / "explain.json").read_text()) | {"more": 1})
    ),
    "too large": lambda folder: (folder / f"{NAMES[1]}.png").write_bytes(png() + bytes(MOST_BYTES)),
}


@pytest.mark.parametrize("spoil", SPOILED)
def test_what_does_not_belong_to_the_weights_is_not_shown(spoil, tmp_path):
    found = results(tmp_path)
    folders_of = [explain(run) for run in runs(found)]
    assert inside(StudyAnswers(found)).missing == ""
    SPOILED[spoil](folders_of[1])
    shown = inside(StudyAnswers(found))
    assert [network.title for network in shown.networks] == ["plain, seed 2"]
    assert shown.missing == "normalized, seed 0"


def test_where_no_run_has_trained_there_is_no_command(tmp_path):
    found = Results.read(folders.write_study(tmp_path / "s"))
    assert inside(StudyAnswers(found)) is None
    assert 'id="inside"' in build(found)


def test_the_largest_pictures_leave_the_page_in_its_limit(many, monkeypatch):
    """3.5 MB for 8 arms and 5 seeds, the most that two networks may take included."""
    content = bytes(MOST_BYTES // 2)
    part = section._part(record("").sections[0], [content])
    network = section.Network(title="x", parts=(part, part))
    shown = section.Inside(rule="", networks=(network, network), missing="", command="")
    monkeypatch.setattr(section, "inside", lambda answers: shown)
    source = build(many)
    assert len(source.encode()) > 2 * MOST_BYTES
    assert len(source.encode()) < 3_500_000
