"""`striate explain` on a run that is finished: what it writes, what it refuses, and what an interrupt leaves."""

import base64
import errno
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from striate.explain import write as writing
from striate.explain.inside import inside_drafts
from striate.explain.run import Subject
from striate.report.answers import StudyAnswers
from striate.report.inside import median_runs
from striate.runs import layout
from striate.runs.explained import read_explained
from striate.runs.files import write_atomic
from striate.studies.loaded import load
from striate.studies.results import Results
from tests.contracts.scheduler import InlineScheduler
from tests.studies.conftest import STUDY, write_study

KINDS = ["filters", "maps", "patches", "attribution", "unit"]


@pytest.fixture
def run(finished):
    return finished.parent / "runs" / "study" / "normalized" / "seed-0"


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


@pytest.fixture(scope="module")
def explained(trained, tmp_path_factory):
    """Everything of one run, written once."""
    import sys

    from striate import cli

    folder = tmp_path_factory.mktemp("explained")
    run = trained / "runs" / "study" / "normalized" / "seed-0"
    before = contents(run)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STRIATE_CACHE", str(folder / "cache"))
        patch.setattr(sys, "argv", ["striate", "explain", str(run), "--out", str(folder / "a b")])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert ended.value.code == 0
    assert contents(run) == before
    return folder / "a b"


def test_it_writes_a_page_a_record_and_every_picture(explained):
    record = json.loads((explained / layout.EXPLAIN_RECORD).read_text())
    assert [section["kind"] for section in record["sections"]] == KINDS
    pictures = [picture for section in record["sections"] for picture in section["pictures"]]
    page = (explained / layout.EXPLAIN_PAGE).read_text()
    for picture in pictures:
        with Image.open(explained / picture["file"]) as image:
            assert image.size == (picture["width"], picture["height"])
            assert any(low < high for low, high in image.convert("RGB").getextrema())
        assert f'src="{picture["file"]}"' in page
    assert {picture["file"] for picture in pictures} == {path.name for path in explained.glob("*.png")}
    assert all(section["pictures"] for section in record["sections"])


def test_the_page_needs_no_network_and_no_script(explained):
    page = (explained / layout.EXPLAIN_PAGE).read_text()
    assert not re.search(r"<script|https?://|javascript:|@import", page)
    assert "prefers-color-scheme: dark" in page
    assert str(explained) not in page


def test_every_shown_patch_reproduces(explained):
    record = json.loads((explained / layout.EXPLAIN_RECORD).read_text())
    patches = next(section for section in record["sections"] if section["kind"] == "patches")
    found = re.search(r"(\d+) of (\d+) give the stated value", patches["text"][-1])
    assert found[1] == found[2]
    assert int(found[1]) == sum(len(table["rows"]) for table in patches["tables"])
    captions = [picture["caption"] for picture in patches["pictures"]]
    assert all(
        "Receptive field" in text and "of the 100 strongest" not in text for text in captions
    )  # there are fewer images


def test_the_same_call_gives_the_same_bytes(striate, run):
    folders = [run / "one", run / "two"]
    for folder in folders:
        assert striate("explain", run, "patches", "--out", folder)[0] == 0
    assert contents(folders[0]) == contents(folders[1])


def test_one_kind_replaces_its_section_only(striate, run):
    assert striate("explain", run, "filters", "patches")[0] == 0
    before = contents(run / layout.EXPLAIN)
    code, out, _ = striate("explain", run, "patches", "--layer", "conv1", "--unit", "2", "--json")
    assert code == 0
    shown = json.loads(out)
    assert [section["kind"] for section in shown["sections"]] == ["patches"]
    assert [picture["file"] for picture in shown["sections"][0]["pictures"]] == ["patches-conv1_norm-2.png"]
    after = contents(run / layout.EXPLAIN)
    assert [name for name in after if name.startswith("patches-")] == ["patches-conv1_norm-2.png"]
    assert after["filters-conv1.png"] == before["filters-conv1.png"]
    assert 'src="filters-conv1.png"' in after[layout.EXPLAIN_PAGE].decode()


def test_a_class_is_traced_back_to_the_image(striate, run):
    record = json.loads(striate("explain", run, "patches", "--layer", "conv1", "--class", "1", "--json")[1])
    section = record["sections"][0]
    traced = next(table for table in section["tables"] if table["title"].startswith("From conv1_norm unit"))
    assert [row[0] for row in traced["rows"]] == ["conv1_norm", "conv1", "image"]
    assert "of class 1" in section["text"][0]


def test_an_image_from_a_file(striate, run, tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)).save(tmp_path / "photo one.png")
    code, out, _ = striate(
        "explain", run, "maps", "attribution", "--method", "guided", "--image", tmp_path / "photo one.png", "--json"
    )
    assert code == 0
    titles = [picture["title"] for section in json.loads(out)["sections"] for picture in section["pictures"]]
    assert titles
    assert all("hoto one.png" in title for title in titles)


def test_an_interrupt_leaves_what_is_finished(striate, run, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setitem(writing.KINDS, "maps", interrupted)
    code, _, err = striate("explain", run)
    assert code == 130
    assert f"Stopped. What was finished is in {run / layout.EXPLAIN}." in err
    assert [path.name for path in (run / layout.EXPLAIN).glob("*.png")] == ["filters-conv1.png"]
    page = (run / layout.EXPLAIN / layout.EXPLAIN_PAGE).read_text()
    assert 'src="filters-conv1.png"' in page
    assert "maps-" not in page
    assert not list((run / layout.EXPLAIN).glob(".*"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["film"], "KIND: must be one of filters, maps, patches, attribution, unit, got 'film'"),
        (["patches", "--layer", "conv9"], "layer 'conv9': the network has no such layer; did you mean 'conv1'"),
        (["patches", "--unit", "99"], "--unit 99: layer 'conv1_norm' has the units 0 to 3"),
        (
            ["patches", "--unit", "1,2"],
            "--unit: must be a channel, or a channel, a row and a column as in 5,3,4, got '1,2'",
        ),
        (["patches", "--class", "dog"], "class 'dog': there is none; the classes are "),
        (["maps", "--image", "100000"], "--image 100000: must be from 0 to "),
        (
            ["maps", "--image", "gone.png"],
            "--image gone.png: is neither an index of the validation images nor an image",
        ),
        (["attribution", "--method", "saliency"], "--method: must be one of gradient, guided,"),
        (["--split", "all"], "--split: must be one of validation, train, test, got 'all'"),
        (["--data", "digits"], "digits: its images are not those that"),
        (["--device", "tpu"], "--device: must be one of auto, cpu, cuda, mps"),
    ],
)
def test_what_cannot_be_shown_is_refused(words, message, striate, run):
    code, _, err = striate("explain", run, *words)
    assert code == 1
    assert err.startswith(f"striate: {message}")
    assert err.count("\n") == 1


@pytest.mark.parametrize("network", ["{layers: conv4 fc8, dims: 3}", "{layers: fc8}"], ids=["3D", "no convolution"])
def test_what_a_network_does_not_allow_is_left_out_with_its_reason(network, striate, tmp_path):
    path = write_study(
        tmp_path,
        STUDY.replace("network:\n  layers: conv4 pool fc8", f"network: {network}").replace("seeds: 2", "seeds: 1"),
    )
    load(path, "recipe.epochs=1", out=tmp_path / "runs").run(scheduler=InlineScheduler())
    run = tmp_path / "runs" / "study" / "plain" / "seed-0"
    code, out, _ = striate("explain", run, "--json")
    assert code == 0
    sections = {section["kind"]: section for section in json.loads(out)["sections"]}
    assert list(sections) == KINDS
    for kind in ("filters", "maps", "patches", "unit"):
        assert sections[kind]["text"][0].startswith("Left out: ")
    assert any(picture["file"].startswith("attribution-class-") for picture in sections["attribution"]["pictures"])
    assert any("gradcam is left out" in text for text in sections["attribution"]["text"])
    code, _, err = striate("explain", run, "maps")
    assert (code, err.count("--layer")) == (1, 1)
    on_the_page = inside_drafts(Subject.open(run, "test"))
    assert [draft.kind for draft in on_the_page] == ["filters", "maps", "patches"]
    assert all(draft.text[0].startswith("Left out: ") and not draft.files for draft in on_the_page)


def test_a_run_without_weights_is_refused(striate, run, tmp_path):
    empty = tmp_path / "runs"
    code, _, err = striate("explain", empty)
    assert (code, err) == (
        1,
        f"striate: {empty}: holds no run (no run.yaml) and no study (no study.yaml); give the folder of one\n",
    )
    shutil.copytree(run, tmp_path / "young")
    for name in (layout.BEST, layout.FINAL, layout.SUMMARY):
        (tmp_path / "young" / name).unlink(missing_ok=True)
    code, _, err = striate("explain", tmp_path / "young")
    assert (code, err.count("holds no weights (best.safetensors); the run is unfinished")) == (1, 1)


def study_of(finished):
    return finished.parent / "runs" / "study"


def test_a_study_gets_pictures_of_its_median_runs_on_its_page(striate, finished):
    folder = study_of(finished)
    results = Results.read(folder)
    rows = median_runs(StudyAnswers(results))
    striate("report", folder)
    before = (folder / layout.REPORT).read_text()
    assert f"striate explain runs/{folder.name}" in before
    code, out, _ = striate("explain", folder)
    assert code == 0
    assert out.endswith(f"\nReport: {folder / layout.REPORT}\n")
    page = (folder / layout.REPORT).read_text()
    pictures = 0
    for row in rows:
        into = layout.run_folder(folder, row.arm, row.seed) / layout.EXPLAIN / layout.EXPLAIN_REPORT
        assert f"{row.arm}, seed {row.seed}: " in out
        explained = read_explained(into)
        assert [section.kind for section in explained.sections] == ["filters", "maps", "patches"]
        files = [picture.file for section in explained.sections for picture in section.pictures]
        assert sorted(files) == sorted(path.name for path in into.glob("*.png"))
        assert all(base64.b64encode((into / file).read_bytes()).decode() in page for file in files)
        pictures += len(files)
        assert re.search(r"(\d+) of \1 patches give the stated value", explained.sections[-1].text[-1])
    assert pictures >= 2 * (1 + 1 + 3)
    assert page.count('<img src="data:image/png') >= pictures
    assert "are not made yet" not in page
    assert page.count("Predictability 0.") == 6
    striate("report", folder)
    assert (folder / layout.REPORT).read_text() == page
    assert striate("explain", folder)[0] == 0
    assert (folder / layout.REPORT).read_text() == page


def test_a_study_takes_only_what_is_for_all_its_runs(striate, finished, tmp_path):
    folder = study_of(finished)
    code, _, err = striate("explain", folder, "maps", "--layer", "conv1")
    assert code == 1
    assert err == (
        f"striate: {folder}: is a study, whose page shows pictures by one rule; leave KIND and --layer out, "
        "or give the folder of a run\n"
    )
    shown = json.loads(striate("explain", folder, "--limit", "7", "--json")[1])
    assert shown["report"] == str(folder / layout.REPORT)
    assert "Predictability" not in str(shown)  # seven images leave none to predict
    assert [network["arm"] for network in shown["networks"]] == ["plain", "normalized"]
    assert any(
        text.startswith("7 images (the first 7 of the test images)")
        for text in shown["networks"][0]["sections"][-1]["text"]
    )
    shutil.copy(folder / layout.STUDY, tmp_path / layout.STUDY)
    code, _, err = striate("explain", tmp_path)
    assert (code, err.count("no run has trained yet")) == (1, 1)


def test_an_interrupted_study_leaves_the_page_and_no_half_record(striate, finished, monkeypatch):
    folder = study_of(finished)
    striate("report", folder)
    before = (folder / layout.REPORT).read_bytes()
    written = []

    def interrupted(path, write):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path)
        write_atomic(path, write)

    monkeypatch.setattr(writing, "write_atomic", interrupted)
    assert striate("explain", folder)[0] == 130
    assert (folder / layout.REPORT).read_bytes() == before
    assert not list(folder.glob(f"*/*/{layout.EXPLAIN}/{layout.EXPLAIN_REPORT}/*.json"))


def test_weights_that_were_trained_again_leave_no_older_section(striate, run):
    assert striate("explain", run, "filters")[0] == 0
    weights = load_file(run / layout.BEST)
    save_file(
        {name: tensor + 1 if tensor.is_floating_point() else tensor for name, tensor in weights.items()},
        run / layout.BEST,
    )
    assert striate("explain", run, "unit")[0] == 0
    assert [section.kind for section in read_explained(run / layout.EXPLAIN).sections] == ["unit"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["filters", "--unit", "1"], "--unit: filters cannot use it; leave it out"),
        (["maps", "filters", "--method", "guided"], "--method: maps and filters cannot use it; leave it out"),
        (["attribution", "--unit", "9999"], "--unit 9999: layer 'conv1' has the units 0 to 3"),
        (["attribution", "--unit", "1,99,99"], "--unit 1,99,99: layer 'conv1' gives 4x8x8 values, and this is none"),
        (["unit", "--unit", "1,99,99"], "--unit 1,99,99: layer 'conv1' gives 4x8x8 values, and this is none of them"),
        (["unit", "--unit", "1,2,3", "--layer", "fc1"], "--unit 1,2,3: layer 'fc1' gives 8 values, and this is none"),
    ],
)
def test_a_unit_or_an_option_that_says_nothing_is_refused(words, message, striate, run):
    code, _, err = striate("explain", run, *words)
    assert (code, err.splitlines()[-1].startswith(f"striate: {message}")) == (1, True), err
    assert not (run / layout.EXPLAIN).exists()


def _not_finite(run):
    weights = load_file(run / layout.BEST)
    weights["conv1.weight"][0, 0, 0, 0] = np.nan
    save_file(weights, run / layout.BEST)


def _others(run):
    shutil.copy(run.parents[1] / "plain" / "seed-0" / layout.BEST, run / layout.BEST)


@pytest.mark.parametrize("command", ["explain", "probe"])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_not_finite, "best.safetensors: 'conv1.weight' has values that are not finite numbers; train the run again"),
        (_others, "best.safetensors: has no '"),
        (lambda run: (run / layout.BEST).write_bytes(b"torn"), "best.safetensors: cannot be read as weights ("),
        (
            lambda run: [(run / name).unlink() for name in (layout.BEST, layout.FINAL)],
            "holds no weights (best.safetensors); they were removed; put them back",
        ),
    ],
    ids=["not finite", "of another network", "torn", "removed"],
)
def test_damaged_weights_are_refused(spoil, message, command, striate, run):
    spoil(run)
    code, _, err = striate(command, run)
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith(f"striate: {run}")
    assert message in err
    assert not (run / layout.EXPLAIN).exists()


def test_a_full_disk_leaves_what_was_there(striate, run, monkeypatch):
    assert striate("explain", run, "filters")[0] == 0
    before = contents(run / layout.EXPLAIN)

    def full(path, content):
        path.write_bytes(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writing, "_write_bytes", full)
    code, _, err = striate("explain", run, "filters", "--layer", "conv1")
    assert (code, err.count("no space left on the disk")) == (1, 1)
    assert err.endswith(
        "; make room and run the same command again, what was saved before is kept\n"
    )  # nothing resumes
    assert contents(run / layout.EXPLAIN) == before


def test_a_network_whose_values_are_not_finite_is_refused(striate, run):
    """Its weights are finite numbers, its statistics are not."""
    weights = load_file(run / layout.BEST)
    weights["conv1_norm.running_mean"][0] = np.nan
    save_file(weights, run / layout.BEST)
    for kind in ("maps", "patches", "attribution"):
        code, _, err = striate("explain", run, kind)
        assert (code, err.count("values that are not finite numbers")) == (1, 1), kind
