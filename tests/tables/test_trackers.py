"""What trackers keep and export, to the same table."""

import contextlib
import math
import sqlite3

import pytest

from striate.core.errors import TableError
from striate.tables import Choices, judge
from striate.tables.judge import Question
from tests.needs import needs_package
from tests.tables.test_read import values

CHART = """\
"Step","plain-s0 - acc","plain-s0 - acc__MIN","plain-s0 - acc__MAX","wide - x_s0 - acc","wide - x_s0 - acc__MIN","wide - x_s0 - acc__MAX"
"0","0.5","0.5","0.5","0.6","0.6","0.6"
"1","0.905","0.905","0.905","",,""
"2",,,,"0.925","0.92","0.93"
"""


def test_the_export_of_a_chart_of_wandb(write):
    judged = judge(write(CHART))
    assert values(judged) == {("plain", 0): 90.5, ("wide - x", 0): 92.5}
    assert (judged.origin, judged.verdicts[0].comparison) == ("W&B chart", "wide - x - plain")


def test_the_table_of_runs_of_wandb_whose_cells_are_dictionaries(write):
    """As W&B's documentation exports the runs of a project with pandas."""
    cells = [
        ({"_step": 9, "acc": 0.905, "best": [1]}, {"seed": 0, "method": "a", "opt": {"lr": 0.1}}),
        ({"_step": 9, "acc": float("nan")}, {"seed": 0, "method": "b", "opt": {"lr": 0.1}}),
    ]
    judged = judge(
        write(",summary,config,name\n" + "".join(f'{i},"{a}","{b}",sun-{i}\n' for i, (a, b) in enumerate(cells)))
    )
    assert values(judged) == {("a", 0): 90.5}
    assert judged.arms[1].failures == {0: "diverged"}
    assert dict(judged.mapping)["arm"] == "column 'config.method': a, b"


@pytest.mark.parametrize(
    "text",
    [
        '[{"arm": "a", "seed": 0, "m": {"acc": 90.5}}, {"arm": "b", "seed": 0, "m": {"acc": 91.5}}]',
        '{"arm": "a", "seed": 0, "m.acc": 90.5}\n{"arm": "b", "seed": 0, "m.acc": "91.5"}\n',
        '{"arm": ["a", "b"], "seed": [0, 0], "m.acc": [90.5, 91.5]}',
        '{"arm": {"0": "a", "1": "b"}, "seed": {"0": 0, "1": 0}, "m.acc": {"0": 90.5, "1": 91.5}}',
        '\ufeff{"columns": ["arm", "seed", "m.acc"], "data": [["a", 0, 90.5], ["b", 0, 91.5]]}',
    ],
)
def test_forms_of_json(text, write):
    assert values(judge(write(text, "history.json"))) == {("a", 0): 90.5, ("b", 0): 91.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "cannot be read as JSON"),
        ("{", "cannot be read as JSON"),
        ("[]", "has no records"),
        ("[1, 2]", "a list must hold records"),
        ('{"a": 1}', "neither records nor columns"),
        ('{"a": [1], "b": [1, 2]}', "cannot be read as JSON"),
    ],
)
def test_json_that_is_no_table_is_refused(text, message, write):
    with pytest.raises(TableError, match=message):
        judge(write(text, "history.json"))


def test_a_folder_with_a_file_for_each_run(write, tmp_path):
    for arm, base in (("plain", 80), ("wide", 81)):
        for seed in range(2):
            lines = "".join(f"{step},{base + step + seed / 7}\n" for step in range(3))
            write(f"_step,acc\n{lines}", f"runs/{arm}-seed{seed}.csv")
    judged = judge(tmp_path / "runs")
    assert values(judged)["wide", 0] == 83
    assert judged.origin == "4 files"


def test_a_folder_without_results_is_refused(tmp_path, write):
    with pytest.raises(TableError, match="holds no results that are known"):
        judge(tmp_path)
    write(b"x", "wandb/offline-run-20260101_000000-abc/run-abc.wandb")
    with pytest.raises(TableError, match="in the format of W&B, which only W&B reads; export"):
        judge(tmp_path)


def test_event_files_of_tensorboard(tmp_path):
    needs_package("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    for arm, base in (("mixup", 0.81), ("plain", 0.80)):
        for seed in range(3):
            with SummaryWriter(tmp_path / arm / f"seed-{seed}") as log:
                for epoch in range(3):
                    log.add_scalar("test/acc", base + epoch / 100 + seed**2 * base / 100, epoch)
                log.add_scalar("train/loss", math.nan, 7)
    judged = judge(tmp_path)
    assert values(judged)["mixup", 2] == pytest.approx(100 * (0.83 + 0.0324))
    assert judged.verdicts[0].comparison == "mixup - plain"
    assert judge(tmp_path, Choices(metric="train/loss"), Question(matters=1)).arms[0].failures == dict.fromkeys(
        range(3), "diverged"
    )
    torn = next(tmp_path.glob("mixup/seed-0/*"))
    torn.write_bytes(torn.read_bytes()[:-100])
    assert "files that are torn, read up to there: mixup/seed-0/" in judge(tmp_path).notes[0]


def test_hyperparameters_of_tensorboard_are_columns(tmp_path):
    needs_package("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    for run, (arm, seed) in enumerate((arm, seed) for arm in "ab" for seed in range(2)):
        with SummaryWriter(tmp_path / f"run {run}") as log:
            log.add_scalar("loss", 1.0, 5)
            log.add_hparams({"method": arm, "seed": seed, "amp": True}, {"hparam/acc": 90 + run + seed / 8})
    judged = judge(tmp_path)
    assert values(judged) == {("a", 0): 90, ("a", 1): 91.125, ("b", 0): 92, ("b", 1): 93.125}
    assert dict(judged.mapping)["arm"] == "column 'hparams.method': a, b"


def mlflow_run(store, run, params, metrics, status=3, stage="active"):
    """A run as MLflow 3 lays it into a store of files."""
    folder = store / "0" / run
    for name, text in params.items():
        (folder / "params").mkdir(parents=True, exist_ok=True)
        (folder / "params" / name).write_text(str(text))
    for name, lines in metrics.items():
        path = folder / "metrics" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"1700000000000 {value} {step}\n" for step, value in lines))
    (folder / "meta.yaml").write_text(
        f"run_id: {run}\nstatus: {status}\nlifecycle_stage: {stage}\nrun_name: sun-1\nstart_time: {run}\n"
    )


def test_a_store_of_mlflow(tmp_path):
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "meta.yaml").write_text("name: augmentation\n")
    for run, (arm, seed) in enumerate((arm, seed) for arm in ("none", "cutmix") for seed in range(3)):
        history = {"test/acc": [(0, 50), (1, 90 + run + seed * run / 8)], "loss": [(0, "nan")]}
        mlflow_run(tmp_path, f"1{run}", {"augment": arm, "seed": seed, "lr": 0.1}, history)
    mlflow_run(tmp_path, "20", {"augment": "none", "seed": 3}, {"test/acc": [(0, 10)]}, status=4)
    mlflow_run(tmp_path, "21", {"augment": "none", "seed": 0}, {"test/acc": [(0, 10)]}, stage="deleted")
    judged = judge(tmp_path)
    assert values(judged)["cutmix", 0] == 93
    assert judged.verdicts[0].comparison == "cutmix - none"
    assert judged.notes == ("Runs without a result, which are left out: none seed 3 (failed).",)
    assert judge(tmp_path / "0").verdicts == judged.verdicts
    (tmp_path / "0" / "10" / "metrics" / "loss").write_text("lost\n")
    with pytest.raises(TableError, match="must have lines of time, value and step, got 'lost'; leave this run out"):
        judge(tmp_path)


def test_a_database_of_mlflow(tmp_path):
    path = tmp_path / "mlflow.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript("""
            CREATE TABLE experiments (experiment_id INTEGER, name TEXT);
            CREATE TABLE runs (run_uuid TEXT, experiment_id INTEGER, status TEXT, name TEXT, lifecycle_stage TEXT, start_time INTEGER);
            CREATE TABLE params (run_uuid TEXT, key TEXT, value TEXT);
            CREATE TABLE tags (run_uuid TEXT, key TEXT, value TEXT);
            CREATE TABLE metrics (run_uuid TEXT, key TEXT, value REAL, step INTEGER, is_nan INTEGER, timestamp INTEGER);
            INSERT INTO experiments VALUES (1, 'augmentation');
        """)
        for run, (arm, seed) in enumerate((arm, seed) for arm in "ab" for seed in range(2)):
            database.execute("INSERT INTO runs VALUES (?, 1, 'FINISHED', 'sun-1', 'active', ?)", (f"r{run}", run))
            database.executemany(
                "INSERT INTO params VALUES (?, ?, ?)", [(f"r{run}", "model", arm), (f"r{run}", "seed", str(seed))]
            )
            database.execute("INSERT INTO metrics VALUES (?, 'acc', ?, 1, ?, 5)", (f"r{run}", 90 + run, run == 3))
        database.commit()
    judged = judge(path)
    assert values(judged) == {("a", 0): 90, ("a", 1): 91, ("b", 0): 92}
    assert judged.arms[1].failures == {1: "diverged"}
    path.write_bytes(path.read_bytes()[:4096])
    with pytest.raises(TableError, match="is no database of MLflow"):
        judge(path)
