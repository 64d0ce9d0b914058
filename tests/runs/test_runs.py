"""Run folders: written whole or not at all, read whatever state they are in, never by two at once."""

import errno
import json
import threading
from pathlib import Path

import pytest
import yaml

from striate.core.errors import RunError
from striate.data import DataConfig
from striate.nets import NetworkConfig
from striate.nets.summary.summarize import summarize
from striate.recipes import Recipe
from striate.runs import DataFacts, EpochRow, Job, RunEnvironment, RunWriter, Summary, layout, read
from striate.runs.files import write_atomic, write_text


def make_job(**changes) -> Job:
    settings = {
        "data": DataConfig(source="digits"),
        "digest": "d" * 64,
        "network": NetworkConfig(layers="conv8"),
        "recipe": Recipe(),
        "seed": 0,
    }
    return Job(**{**settings, **changes})


def finished(**changes) -> Summary:
    return Summary(
        **{
            "state": "finished",
            "epochs": 1,
            "seconds": 1.0,
            "parameters": 1,
            "classes": 2,
            "test_accuracy": 0.5,
            **changes,
        }
    )


def test_a_fingerprint_leaves_out_where_the_images_lie():
    assert make_job().fingerprint == make_job(data=DataConfig(source="/elsewhere/digits")).fingerprint


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"digest": "e" * 64},
        {"network": NetworkConfig(layers="conv8", norm="batch")},
        {"recipe": Recipe(epochs=11)},
        {"data": DataConfig(source="digits", validation=0.2)},
    ],
    ids=str,
)
def test_what_decides_a_run_changes_its_fingerprint(changes):
    assert make_job().fingerprint != make_job(**changes).fingerprint


def test_a_run_written_by_the_first_release_is_still_the_same_run():
    """A changed value here means that every finished run of every user would be trained again."""
    assert make_job().fingerprint == "6161d75e13bd"


def test_what_is_written_is_read(tmp_path):
    with RunWriter(tmp_path, make_job()) as writer:
        writer.append(EpochRow(epoch=1, train_loss=0.5))
        writer.append(EpochRow(epoch=2))
        writer.environment(RunEnvironment(threads=2, torch="2"))
        assert read(tmp_path).state == "unfinished"
        writer.finish(finished())
    run = read(tmp_path)
    assert (run.state, run.seed, run.fingerprint) == ("finished", 0, make_job().fingerprint)
    assert [row.train_loss for row in run.metrics] == [0.5, None]
    assert run.environment == RunEnvironment(threads=2, torch="2")
    assert run.is_result


def test_run_yaml_says_what_decides_the_run(tmp_path):
    with RunWriter(tmp_path, make_job()):
        pass
    content = yaml.safe_load((tmp_path / layout.RUN).read_text())
    assert content["format"] == layout.FORMAT
    assert content["network"] == {"layers": "conv8"}
    assert (
        Job.model_validate({key: content[key] for key in content if key not in {"format", "fingerprint"}}) == make_job()
    )


@pytest.mark.parametrize("torn", ['{"epoch": 2, "lo', '{"epoch": 2, "loss": 1'])
def test_a_torn_last_line_is_dropped(tmp_path, torn):
    with RunWriter(tmp_path, make_job()) as writer:
        writer.append(EpochRow(epoch=1))
    with (tmp_path / layout.METRICS).open("a") as file:
        file.write(torn)
    assert [row.epoch for row in read(tmp_path).metrics] == [1]


def test_a_finished_run_keeps_its_marker_when_opened_again(tmp_path):
    with RunWriter(tmp_path, make_job()) as writer:
        writer.finish(finished())
    with RunWriter(tmp_path, make_job()):
        assert read(tmp_path).state == "finished"


def test_a_failed_run_loses_its_marker_when_tried_again_and_keeps_its_checkpoint(tmp_path):
    with RunWriter(tmp_path, make_job()) as writer:
        writer.save(layout.CHECKPOINT, lambda path: path.write_bytes(b"state") and None)
        writer.finish(finished(state="failed", reason="no luck"))
    assert not read(tmp_path).is_result
    with RunWriter(tmp_path, make_job()):
        assert read(tmp_path).state == "unfinished"
        assert (tmp_path / layout.CHECKPOINT).exists()


def test_another_job_s_folder_is_refused_and_left_alone(tmp_path):
    with RunWriter(tmp_path, make_job()):
        pass
    before = (tmp_path / layout.RUN).read_bytes()
    with (
        pytest.raises(RunError, match="holds a run of other settings; choose another --out or remove that folder"),
        RunWriter(tmp_path, make_job(seed=1)),
    ):
        pass
    assert (tmp_path / layout.RUN).read_bytes() == before


def test_one_writer_at_a_time(tmp_path):
    with (
        RunWriter(tmp_path, make_job()),
        pytest.raises(RunError, match="another process is training this run"),
        RunWriter(tmp_path, make_job()),
    ):
        pass
    with RunWriter(tmp_path, make_job()):
        pass


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "summary.json"
    write_text(path, "old")

    def half(beside):
        beside.write_text("ne")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(
        RunError, match=r"summary\.json: no space left on the disk \(\d+ MB free\); make room and run the same command"
    ):
        write_atomic(path, half)
    assert path.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which Linux has")
def test_a_full_disk_leaves_the_run_resumable(tmp_path):
    """/dev/full refuses each write as a full disk does."""
    with RunWriter(tmp_path, make_job()) as writer:
        writer.append(EpochRow(epoch=1))
        (tmp_path / layout.METRICS).rename(tmp_path / "aside")
        (tmp_path / layout.METRICS).symlink_to("/dev/full")
        with pytest.raises(RunError, match="no space left on the disk"):
            writer.append(EpochRow(epoch=2))
    (tmp_path / layout.METRICS).unlink()
    (tmp_path / "aside").rename(tmp_path / layout.METRICS)
    assert read(tmp_path).state == "unfinished"
    assert [row.epoch for row in read(tmp_path).metrics] == [1]


def test_what_a_killed_write_left_is_removed_when_the_run_is_resumed(tmp_path):
    with RunWriter(tmp_path, make_job()):
        pass
    (tmp_path / ".last.pt.0123abcd.unfinished").write_text("half")
    with RunWriter(tmp_path, make_job()):
        assert not list(tmp_path.glob(".*.unfinished"))


def test_a_result_is_not_undone_by_a_later_failure(tmp_path):
    with RunWriter(tmp_path, make_job()) as writer:
        writer.finish(finished())
        writer.finish(finished(state="failed"))
    assert read(tmp_path).state == "finished"


def test_a_broken_line_in_the_middle_of_the_metrics_is_named(tmp_path):
    with RunWriter(tmp_path, make_job()) as writer:
        writer.append(EpochRow(epoch=1))
    (tmp_path / layout.METRICS).write_text('{"epoch": 1}\nrubbish\n{"epoch": 3}\n')
    with pytest.raises(RunError, match=r"metrics\.jsonl, line 2: is not an epoch's numbers"):
        read(tmp_path)


def test_a_reader_never_sees_half_a_file(tmp_path):
    path, seen = tmp_path / "file.json", set()
    texts = ["a" * 50_000, "b" * 70_000]
    write_text(path, texts[0])
    stop = threading.Event()

    def watch():
        while not stop.is_set():
            seen.add(path.read_text())

    reader = threading.Thread(target=watch)
    reader.start()
    for turn in range(50):
        write_text(path, texts[turn % 2])
    stop.set()
    reader.join()
    assert seen <= set(texts)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("format: 99\nfingerprint: a\nseed: 0", "has format 99, newer than this program reads"),
        ("hello", "is not the description of a run"),
        ("[", "is not readable YAML"),
    ],
)
def test_a_folder_that_is_no_run_is_named(tmp_path, content, message):
    (tmp_path / layout.RUN).write_text(content)
    with pytest.raises(RunError, match=message):
        read(tmp_path)


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(RunError, match="holds no run"):
        read(tmp_path)


@pytest.mark.parametrize("content", [b"{", b"null", b"[1]", b"\xff\xfe", b'{"state": "finished"}', b""])
def test_a_broken_summary_is_named(tmp_path, content):
    with RunWriter(tmp_path, make_job()):
        pass
    (tmp_path / layout.SUMMARY).write_bytes(content)
    with pytest.raises(RunError, match="is not the summary of a run; remove the file to train this run again"):
        read(tmp_path)


@pytest.mark.parametrize("content", [b"3\n", b"\xff\n", b"null\n", b'{"loss": 1}\n'])
def test_metrics_that_are_none_are_named(tmp_path, content):
    with RunWriter(tmp_path, make_job()):
        pass
    (tmp_path / layout.METRICS).write_bytes(content)
    with pytest.raises(RunError, match="line 1: is not an epoch's numbers"):
        read(tmp_path)


def test_a_broken_environment_decides_nothing(tmp_path):
    with RunWriter(tmp_path, make_job()):
        pass
    (tmp_path / layout.ENVIRONMENT).write_text("{")
    assert read(tmp_path).environment is None


@pytest.mark.parametrize("name", [layout.SUMMARY, layout.METRICS, layout.CHECKPOINT])
def test_results_without_what_they_are_results_of_are_not_taken_over(tmp_path, name):
    (tmp_path / name).write_text("{}")
    with (
        pytest.raises(RunError, match=r"holds results without the run\.yaml that describes them"),
        RunWriter(tmp_path, make_job()),
    ):
        pass


def test_an_out_that_is_a_file_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="choose another --out"), RunWriter(tmp_path / "file" / "run", make_job()):
        pass


def test_json_that_other_programs_cannot_read_is_never_written(tmp_path):
    with RunWriter(tmp_path, make_job()) as writer, pytest.raises(ValueError, match="not JSON compliant"):
        writer.append(EpochRow(epoch=1).model_copy(update={"train_loss": float("nan")}))
    assert not (tmp_path / layout.METRICS).read_text()
    with pytest.raises(ValueError, match="finite number"):
        EpochRow(epoch=1, train_loss=float("nan"))


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("plain", "plain"),
        ("lr=0.1 norm=batch", "lr=0.1-norm=batch"),
        ("../x", "x"),
        ("a/b", "a-b"),
        ("é", "é"),
        ("..", "unnamed"),
    ],
)
def test_a_name_makes_a_folder_that_stays_inside(name, slug):
    assert layout.slug(name) == slug


def test_a_long_name_is_cut_and_still_tells_two_apart():
    names = ["conv8 " * 60 + end for end in "ab"]
    slugs = {layout.slug(name) for name in names}
    assert len(slugs) == 2
    assert max(len(slug) for slug in slugs) < 80


def test_the_summary_comes_back(tmp_path):
    with RunWriter(tmp_path, make_job()) as writer:
        writer.finish(finished(data=DataFacts(classes=("a", "b"))))
    assert Summary.model_validate(json.loads((tmp_path / layout.SUMMARY).read_text())) == finished(
        data=DataFacts(classes=("a", "b"))
    )


FORMAT_1 = Path(__file__).parent.parent / "golden" / "format-1"


@pytest.mark.parametrize("folder", [path.parent for path in sorted(FORMAT_1.glob("**/run.yaml"))], ids=str)
def test_the_records_write_the_files_that_they_were_read_from(folder):
    """Run folders of version 0.1.0: no key is lost, added or moved, no number changed."""
    run = read(folder)
    assert run.job.fingerprint == run.fingerprint
    if run.summary:
        text = json.dumps(run.summary.model_dump(mode="json"), indent=1) + "\n"
        assert text == (folder / layout.SUMMARY).read_text()
    if run.metrics:
        lines = "".join(json.dumps(row.to_json()) + "\n" for row in run.metrics)
        assert lines == (folder / layout.METRICS).read_text()
    if run.environment:
        assert run.environment.model_dump(mode="json") == json.loads((folder / layout.ENVIRONMENT).read_text())


def test_keys_that_a_newer_version_added_are_kept(tmp_path):
    with RunWriter(tmp_path, make_job()) as writer:
        writer.append(EpochRow(epoch=1, some_norm=0.5))
        writer.finish(finished(data=DataFacts(classes=("a",), license="CC0")))
    run = read(tmp_path)
    assert run.metrics[0].to_json()["some_norm"] == 0.5
    assert run.summary.model_dump()["data"] == {"classes": ("a",), "license": "CC0"}


def test_a_run_whose_settings_this_version_does_not_know_still_says_how_it_ended(tmp_path):
    with RunWriter(tmp_path, make_job()) as writer:
        writer.finish(finished())
    path = tmp_path / layout.RUN
    path.write_text(path.read_text().replace("layers: conv8", "layers: conv8\n  gone: 1"))
    run = read(tmp_path)
    assert (run.state, run.seed, run.fingerprint) == ("finished", 0, make_job().fingerprint)
    with pytest.raises(RunError, match=r"run\.yaml: network\.gone: is not read by this version of striate"):
        _ = run.job


def test_a_seed_that_is_no_number_is_named(tmp_path):
    (tmp_path / layout.RUN).write_text("format: 1\nfingerprint: a\nseed: x")
    with pytest.raises(RunError, match="is not the description of a run"):
        read(tmp_path)


def test_a_run_that_is_reopened_is_read_once(tmp_path, monkeypatch):
    with RunWriter(tmp_path, make_job()) as writer:
        assert writer.run is None
        writer.append(EpochRow(epoch=1))
        writer.finish(finished(state="failed"))
    folders = []
    monkeypatch.setattr("striate.runs.writer.read", lambda folder: folders.append(folder) or read(folder))
    with RunWriter(tmp_path, make_job()) as writer:
        assert [row.epoch for row in writer.run.metrics] == [1]
        writer.rewind(writer.run.metrics)
        assert writer.finish(finished()) == writer.finish(finished(state="failed"))
    assert folders == [tmp_path]


def test_the_layers_of_the_network_are_kept(tmp_path):
    table = summarize(NetworkConfig(layers="conv8 pool fc4"), (1, 8, 8), 3).table
    with RunWriter(tmp_path, make_job()) as writer:
        assert writer.run is None
        writer.network(table)
    assert read(tmp_path).network == table
    (tmp_path / layout.NETWORK).write_text("[")
    assert read(tmp_path).network is None


@pytest.mark.parametrize("name", [layout.RUN, layout.SUMMARY, layout.METRICS])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name):
    """A folder in its place: this also fails for a user who may read everything."""
    with RunWriter(tmp_path, make_job()):
        pass
    (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / name).mkdir()
    with pytest.raises(RunError, match=rf"{name}: cannot be read \(Is a directory\)"):
        read(tmp_path)


def test_brackets_without_end_are_no_description(tmp_path):
    (tmp_path / layout.RUN).write_text("a: " + "[" * 3000)
    with pytest.raises(RunError, match="is not readable YAML"):
        read(tmp_path)
