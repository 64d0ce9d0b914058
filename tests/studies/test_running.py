"""A study from its file to its verdicts, grown, interrupted and repeated."""

import subprocess
import sys
from collections import Counter

import filelock
import numpy as np
import pytest
import torch
import yaml

from striate.core import config
from striate.core.errors import RecipeError, StudyError
from striate.engines.pytorch.learner import Learner
from striate.nets.pytorch import weights
from striate.runs import read
from striate.studies.execute.local import LocalScheduler
from striate.studies.execute.protocol import Finished, Progress, Stopped
from striate.studies.loaded import load
from striate.studies.results import Results
from tests.contracts.scheduler import InlineScheduler
from tests.engines.pytorch.conftest import files
from tests.report.folders import small_module
from tests.studies.conftest import STUDY, write_study

THREE = STUDY.replace("seeds: 2", "seeds: 3")


def folders(root) -> dict[str, dict[str, bytes]]:
    return {str(path.parent.relative_to(root)): files(path.parent) for path in sorted(root.rglob("summary.json"))}


def test_batch_norm_of_single_images_is_refused_in_the_plan(tmp_path):
    text = STUDY.replace("batch_size: 16", "batch_size: 1").replace("conv4 pool fc8", "fc8")
    with pytest.raises(RecipeError, match=r"arm 'normalized' .*recipe.batch_size: the batch norm of layer fc1"):
        load(write_study(tmp_path, text)).plan()


def test_a_class_that_is_left_behind_is_named_beside_the_verdicts(tmp_path):
    path = write_study(tmp_path, STUDY.replace("epochs: 2", "epochs: 1"))
    with np.load(tmp_path / "squares.npz") as file:
        arrays = dict(file)
    assert not load(path, out=tmp_path / "equal").run(scheduler=InlineScheduler()).notes
    kept = np.delete(np.arange(120), np.flatnonzero(arrays["train_labels"] == 2)[6:])
    arrays |= {key: arrays[key][kept] for key in ("train_images", "train_labels")}
    np.savez(tmp_path / "squares.npz", **arrays)
    results = load(path, out=tmp_path / "runs").run(scheduler=InlineScheduler())
    rows = results.of("plain")
    assert rows[0].data.class_sizes == (40, 40, 6)
    assert rows[0].balanced_accuracy == pytest.approx(100 * rows[0].summary.test.balanced_accuracy)
    assert results.table()[0]["balanced_accuracy"] == rows[0].balanced_accuracy
    means = [np.mean([row.class_accuracies[k] for row in rows]) for k in range(3)]
    worst = int(np.argmin(means))
    assert f"and that of '{worst}', the least accurate class, {means[worst]:.1f} %." in results.notes[0]
    assert results.notes[0].startswith(
        f"plain: the test accuracy is {np.mean([row.test_accuracy for row in rows]):.1f} %, "
    )
    assert len(results.notes) == 2


def test_a_study_is_run_gets_its_verdicts_and_is_not_run_again(tmp_path):
    study = load(write_study(tmp_path, THREE), out=tmp_path / "runs")
    events = []
    results = study.run(scheduler=InlineScheduler(), on_event=events.append)
    assert results.is_complete
    assert [type(event) for event in events].count(Finished) == 6
    assert [verdict.comparison for verdict in results.verdicts] == ["normalized - plain"]
    assert results.verdicts[0].label not in {"not comparable", "too few seeds"}
    before = {
        path: path.stat().st_mtime_ns
        for path in (tmp_path / "runs").rglob("*")
        if path.is_file() and path.name not in {"study.yaml", ".lock"}
    }
    again = []
    assert study.run(scheduler=InlineScheduler(), on_event=again.append).table() == results.table()
    assert again == []
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_study_file_is_parsed_once_and_a_run_folder_read_once(tmp_path, monkeypatch):
    path = write_study(tmp_path, THREE)
    load(path, out=tmp_path / "runs").run(scheduler=InlineScheduler())
    reads = Counter()
    read_file, parse_run = config.read, yaml.safe_load
    monkeypatch.setattr(config, "read", lambda path: (reads.update([path.parent.name]), read_file(path))[1])
    monkeypatch.setattr("striate.runs.reader.yaml.safe_load", lambda text: (reads.update(["run"]), parse_run(text))[1])
    study = load(path, "matters=0.1", out=tmp_path / "runs")
    assert study.run(scheduler=InlineScheduler()).is_complete
    assert reads == {tmp_path.name: 1, "study": 1, "run": 6}


def test_finished_seeds_cannot_be_left_out_and_other_runs_are_named(tmp_path):
    """Once "undecided" became "clearly better" by naming half of the seeds, and nothing said so."""
    path = write_study(tmp_path, THREE)
    all_seeds = load(path, out=tmp_path / "runs").run(scheduler=InlineScheduler())
    fewer = load(path, seeds=2, out=tmp_path / "runs").run(scheduler=InlineScheduler())
    assert fewer.verdicts == all_seeds.verdicts
    assert [row.seed for row in fewer.of("plain")] == [0, 1, 2]
    note = "The plan was changed after the first results: seeds changed from 0 to 2 to 0, 1, after 6 finished runs."
    assert fewer.notes == Results.read(fewer.folder).notes == (note,)
    assert note in repr(fewer)
    assert note in fewer._repr_html_()
    one_arm = load(
        write_study(tmp_path, THREE.replace("  normalized: {network.norm: batch}\n", "")), out=tmp_path / "runs"
    )
    assert one_arm.run(scheduler=InlineScheduler()).notes[-1] == (
        "The folder holds runs that this study leaves out: normalized (seeds 0, 1, 2)."
    )


def test_a_representation_is_short_and_says_what_it_is(tmp_path):
    study = load(write_study(tmp_path, THREE), out=tmp_path / "runs")
    folder = tmp_path / "runs" / "study"
    assert repr(study) == (
        "<LoadedStudy 'study': Does batch normalization help?\n"
        "  2 arms: plain, normalized\n"
        "  varied: network.norm\n"
        "  seeds 0, 1, 2\n"
        "  comparisons: normalized - plain\n"
        f"  0 of 6 runs have ended, in {folder}>"
    )
    assert repr(study.plan()) == "<Plan of 'study': 6 runs, 0 done, 6 to train>"
    assert repr(study.plan().runs[0]) == "<PlannedRun plain seed 0: new>"
    assert repr(study.arms) == "(<Arm 'plain': the base>, <Arm 'normalized': network.norm=batch>)"
    results = study.run(scheduler=InlineScheduler())
    assert "6 of 6 runs have ended" in study._repr_html_()
    assert "<td>normalized</td><td>network.norm=batch</td>" in study._repr_html_()
    assert repr(results) == f"<Results of 'study': 6 of 6 runs have ended\n  {results.verdicts[0].sentence}>"
    run = results.rows[0].run
    assert repr(run) == f"<Run {run.folder}: finished after 2 epochs>"
    accuracy = f"{results.rows[0].test_accuracy:.2f}"
    assert repr(results.rows[0]) == f"<RunRow plain seed 0: finished, {accuracy} % test accuracy>"


def test_a_representation_of_many_arms_is_short_too(tmp_path):
    text = STUDY[: STUDY.index("arms:")] + f"grid:\n  recipe.epochs: {list(range(1, 101))}\n"
    assert len(repr(load(write_study(tmp_path, text)))) < 500


def test_adding_an_arm_and_a_seed_changes_no_other_run(tmp_path):
    """Bit for bit: in the same folder, where the finished runs stay, and in a new folder, where they are trained again."""
    small = load(write_study(tmp_path, STUDY), out=tmp_path / "a")
    small.run(scheduler=InlineScheduler())
    before = folders(tmp_path / "a")
    grown_text = STUDY.replace("arms:\n", "arms:\n  wide: {network.layers: conv8 pool fc8}\n")
    path = write_study(tmp_path, grown_text)
    load(path, out=tmp_path / "a", seeds=3).run(scheduler=InlineScheduler())
    load(path, out=tmp_path / "b").run(scheduler=InlineScheduler())
    grown, fresh = folders(tmp_path / "a"), folders(tmp_path / "b")
    assert len(grown) == 9
    assert len(fresh) == 6
    assert {name: grown[name] for name in before} == before
    assert {name: fresh[name] for name in before} == before


def test_arms_of_one_seed_share_weights_batches_and_augmentation(tmp_path):
    """An arm that differs in nothing that the first step sees has the same first loss; another seed has not."""
    text = STUDY.replace("{network.norm: batch}", "{recipe.label_smoothing: 0.0, recipe.schedule: cosine}").replace(
        "epochs: 2", "epochs: 1"
    )
    text = text.replace("batch_size: 16", "batch_size: 500").replace(
        "lr: 0.01}", "lr: 0.01}\n  augment: {flip: true, crop: 1}"
    )
    results = load(write_study(tmp_path, text), out=tmp_path / "runs").run(scheduler=InlineScheduler())
    losses = {(row.arm, row.seed): row.run.metrics[0].train_loss for row in results.rows}
    assert losses["plain", 0] == losses["normalized", 0]
    assert losses["plain", 1] == losses["normalized", 1]
    assert losses["plain", 0] != losses["plain", 1]


def test_a_stopped_study_goes_on_and_ends_as_if_never_stopped(tmp_path):
    """In a process of its own, stopped as Ctrl-C does."""
    path = write_study(tmp_path, STUDY.replace("epochs: 2", "epochs: 40").replace("seeds: 2", "seeds: 1"))
    load(path, out=tmp_path / "whole").run(scheduler=InlineScheduler())
    stopping, kinds = load(path, out=tmp_path / "stopped"), []
    partial = stopping.run(
        scheduler=LocalScheduler(1, 1, "cpu"),
        on_event=lambda event: kinds.append(type(event)),
        should_stop=lambda: Progress in kinds,
    )
    assert not partial.is_complete
    assert Stopped in kinds
    assert stopping.run(scheduler=InlineScheduler()).is_complete
    assert folders(tmp_path / "stopped") == folders(tmp_path / "whole")


def test_a_failing_run_leaves_the_others_and_is_named(tmp_path, monkeypatch):
    """A step of the networks with batch norm fails; the other arm is unharmed."""
    right = Learner.step

    def step(learner, *arguments, **options):
        if any(isinstance(part, torch.nn.BatchNorm2d) for part in learner.module.modules()):
            raise RuntimeError("planted")
        return right(learner, *arguments, **options)

    monkeypatch.setattr(Learner, "step", step)
    results = load(write_study(tmp_path, STUDY), out=tmp_path / "runs").run(scheduler=InlineScheduler())
    assert [row.state for row in results.of("plain")] == ["finished", "finished"]
    assert [row.state for row in results.of("normalized")] == ["failed", "failed"]
    assert results.verdicts[0].label == "not comparable"
    assert "normalized: seeds 0, 1 failed." in results.verdicts[0].sentence
    assert (results.of("normalized")[0].run.folder / "log.txt").read_text()


def test_results_are_read_from_files_alone(tmp_path):
    results = load(write_study(tmp_path, THREE), out=tmp_path / "runs").run(scheduler=InlineScheduler())
    moved = tmp_path / "moved"
    (tmp_path / "runs" / "study").rename(moved)
    (tmp_path / "squares.npz").unlink()
    again = Results.read(moved)
    assert again.table() == results.table()
    assert again.verdicts == results.verdicts
    assert "<table>" in again._repr_html_()


def test_the_kept_study_file_says_what_was_run(tmp_path):
    study = load(write_study(tmp_path, STUDY), "recipe.epochs=1", out=tmp_path / "runs")
    study.run(scheduler=InlineScheduler())
    written = yaml.safe_load((study.folder / "study.yaml").read_text())
    assert written["recipe"]["epochs"] == 1
    assert written["name"] == "study"
    kept = load(study.folder).study
    assert kept.replace(data=study.study.data, design=None, looks_taken=()) == study.study
    assert kept.design.is_as_written


def test_a_folder_with_other_settings_is_refused_and_left_alone(tmp_path):
    path = write_study(tmp_path, STUDY)
    load(path, out=tmp_path / "runs").run(scheduler=InlineScheduler())
    before = folders(tmp_path / "runs")
    with pytest.raises(
        StudyError,
        match=r"holds a run with other settings than this study's arm 'plain'; choose another --out, give the study another name",
    ):
        load(path, "recipe.epochs=3", out=tmp_path / "runs").run(scheduler=InlineScheduler())
    assert folders(tmp_path / "runs") == before
    assert (
        load(path, "recipe.epochs=3", "name=longer", out=tmp_path / "runs").run(scheduler=InlineScheduler()).is_complete
    )


def test_a_folder_of_a_different_study_of_the_same_name_is_refused(tmp_path):
    load(write_study(tmp_path, STUDY), out=tmp_path / "runs").run(scheduler=InlineScheduler())
    other = (
        STUDY.replace("Does batch normalization help?", "Is wider better?")
        .replace("plain:", "narrow:")
        .replace("normalized: {network.norm: batch}", "wide: {network.layers: conv8}")
    )
    with pytest.raises(
        StudyError,
        match=r"was made by a different study of the same name \('Does batch normalization help\?'\); choose another --out",
    ):
        load(write_study(tmp_path, other), out=tmp_path / "runs").run(scheduler=InlineScheduler())


def test_a_second_process_on_the_same_study_is_refused(tmp_path):
    study = load(write_study(tmp_path, STUDY), out=tmp_path / "runs")
    study.folder.mkdir(parents=True)
    with (
        filelock.FileLock(study.folder / ".lock"),
        pytest.raises(StudyError, match="another process is running this study; wait for it, or choose another --out"),
    ):
        study.run(scheduler=InlineScheduler())
    assert not list(study.folder.glob("*/seed-*"))


@pytest.mark.parametrize("scheduler", [InlineScheduler(), None], ids=["here", "by a worker"])
def test_an_unknown_optimizer_is_refused_before_anything_is_written(tmp_path, scheduler):
    study = load(write_study(tmp_path, STUDY.replace("name: Adam", "name: Adamm")), out=tmp_path / "runs")
    with pytest.raises(
        ValueError,
        match=r"^arm 'plain': recipe\.optimizer\.name: torch has no optimizer 'Adamm' for this; did you mean 'Adam'\?",
    ):
        study.run(scheduler=scheduler, jobs=1)
    assert not (tmp_path / "runs").exists()


def test_a_worker_that_cannot_start_ends_the_study_before_anything_is_written(tmp_path, monkeypatch):
    program = tmp_path / "broken"
    program.write_text("#!/bin/sh\necho no torch here >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr("striate.core.processes.sys.executable", str(program))
    study = load(write_study(tmp_path, STUDY), out=tmp_path / "runs")
    with pytest.raises(StudyError, match=r"^a worker process ended with code 3 \(no torch here\)$"):
        study.run()
    assert not (tmp_path / "runs").exists()


def test_a_finished_study_is_answered_again_without_an_engine(tmp_path):
    path = write_study(tmp_path, STUDY.replace("seeds: 2", "seeds: 1"))
    load(path, out=tmp_path / "runs").run(scheduler=InlineScheduler())
    program = f"""
import sys
from striate.cli import main
sys.argv = ["striate", "run", {str(path)!r}, "--out", {str(tmp_path / "runs")!r}]
try:
    main()
except SystemExit as end:
    sys.exit(f"code {{end.code}}, torch {{'torch' in sys.modules}}")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.endswith("code 0, torch False\n")


def test_a_folder_without_a_study_is_named(tmp_path):
    with pytest.raises(StudyError, match="holds no study"):
        Results.read(tmp_path)


def test_a_diverged_run_is_an_outcome(tmp_path):
    text = THREE.replace("{network.norm: batch}", "{recipe.optimizer: {name: SGD, lr: 1e30}}")
    results = load(write_study(tmp_path, text), out=tmp_path / "runs").run(scheduler=InlineScheduler())
    assert [row.state for row in results.of("normalized")] == ["diverged"] * 3
    assert [row.test_accuracy for row in results.of("normalized")] == pytest.approx([100 / 3] * 3)
    assert results.verdicts[0].label != "not comparable"
    assert (
        "normalized in 3 of 3 runs (diverged: seeds 0, 1, 2; a rate of at least 37 %)" in results.verdicts[0].sentence
    )
    assert results.is_complete
    assert read(results.of("normalized")[0].run.folder).summary.test_accuracy is None


def test_a_plan_changed_after_the_results_is_kept_and_said(tmp_path):
    path = write_study(tmp_path, THREE)
    load(path, out=tmp_path / "runs").run(scheduler=InlineScheduler())
    assert load(path, out=tmp_path / "runs").run(scheduler=InlineScheduler()).study.replanned == ()
    changed = load(path, "matters=0.1", out=tmp_path / "runs").run(scheduler=InlineScheduler())
    assert changed.study.replanned == ("matters changed from 0.5 to 0.1, after 6 finished runs",)
    again = load(path, "matters=0.1", "compare=[plain - normalized]", out=tmp_path / "runs")
    assert again.run(scheduler=InlineScheduler()).study.replanned == (
        "matters changed from 0.5 to 0.1, after 6 finished runs",
        "comparison 'plain - normalized' added, after 6 finished runs",
        "comparison 'normalized - plain' taken out, after 6 finished runs",
    )


def test_a_plan_that_leaves_out_the_seen_seeds_hides_no_change(tmp_path):
    path, change = write_study(tmp_path, THREE), "matters changed from 0.5 to 0.1, after 6 finished runs"
    load(path, out=tmp_path / "runs").run(scheduler=InlineScheduler())
    other = load(path, "matters=0.1", "seeds=[9]", out=tmp_path / "runs")
    assert other.run(scheduler=InlineScheduler()).study.replanned == (
        change,
        "seeds changed from 0 to 2 to 9, after 6 finished runs",
    )
    again = load(path, "matters=0.1", out=tmp_path / "runs").run(scheduler=InlineScheduler())
    assert again.study.replanned[0] == change


def test_a_new_arm_is_a_change_and_its_comparison_is_planned_before_its_runs(tmp_path):
    load(write_study(tmp_path, STUDY), out=tmp_path / "runs").run(scheduler=InlineScheduler())
    grown = write_study(tmp_path, STUDY + "  wide: {network.layers: conv8 pool fc8}\n")
    results = load(grown, out=tmp_path / "runs").run(scheduler=InlineScheduler())
    assert results.study.replanned == ("arm 'wide' added, after 4 finished runs",)
    assert results.design.comparison_count == 2


def test_a_study_s_own_folder_is_the_study_and_its_runs_are_there(tmp_path):
    load(write_study(tmp_path, STUDY), out=tmp_path / "elsewhere").run(scheduler=InlineScheduler())
    again = load(tmp_path / "elsewhere" / "study")
    assert again.folder == tmp_path / "elsewhere" / "study"
    assert not again.plan().missing


def test_a_listener_that_fails_leaves_no_run_going(tmp_path):
    closed = []

    class Watched(InlineScheduler):
        def run(self, tasks, should_stop=lambda: False):
            try:
                yield from super().run(tasks, should_stop)
            finally:
                closed.append(True)

    with pytest.raises(ZeroDivisionError, match="division by zero"):
        load(write_study(tmp_path, STUDY), out=tmp_path / "runs").run(scheduler=Watched(), on_event=lambda _: 1 / 0)
    assert closed == [True]


def test_seeds_added_after_a_file_of_weights_has_changed_are_refused(tmp_path):
    """Otherwise one arm would start from two sets of weights. The path of the file does not matter."""
    first, moved = tmp_path / "w.safetensors", tmp_path / "moved.safetensors"
    module = {"import": "tests.report.folders:small_module", "pretrained": first.name}
    data = {**yaml.safe_load(STUDY), "network": module, "arms": {"plain": {}}, "seeds": 1}
    path = write_study(tmp_path, yaml.safe_dump(data))
    weights.save(small_module(3), first)
    assert load(path, out=tmp_path / "runs").run(scheduler=InlineScheduler()).is_complete
    first.rename(moved)
    assert not load(path, f"network.pretrained={moved}", out=tmp_path / "runs").plan().missing
    weights.save(small_module(3), first)
    with pytest.raises(StudyError, match="holds a run with other settings"):
        load(path, seeds=2, out=tmp_path / "runs").plan()
