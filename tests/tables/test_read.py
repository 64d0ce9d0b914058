"""Files of every origin to the same table."""

import pytest

from striate.tables import Choices, judge
from striate.tables.columns import split_name
from striate.tables.metric import group, spoken


def values(judged):
    return {(arm.arm, seed): value for arm in judged.arms for seed, value in arm.values.items()}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_encodings(encoding, write):
    text = "Größe,seed,acc\n" + "".join(
        f"{arm},{s},9{s}.{s * i}\n" for s in range(3) for i, arm in enumerate(("früh", "spät"))
    )
    judged = judge(write(text.encode(encoding)), Choices(arm=("Größe",)))
    assert [arm.arm for arm in judged.arms] == ["früh", "spät"]
    assert judged.notes == (("The file is not UTF-8; it was read as Windows-1252.",) if encoding == "cp1252" else ())


@pytest.mark.parametrize(
    "text",
    [
        "arm;seed;acc\na;0;90,5\nb;0;91,5\n",
        "arm\tseed\tacc\na\t0\t90.5\nb\t0\t91.5\n",
        "\r\narm,seed,acc\r\na,0,90.5\r\n\r\nb,0,91.5\r\n,,\r\n",
        'arm,"seed",acc\n"a",0," 90.5 "\n"b","0.0",91.5%',
        "arm|seed|acc\na|0|9.05e1\nb|0|+91.5\n",
        "acc,model,config.seed\n90.5,a,0\n91.5,b,0\n",
    ],
)
def test_spreadsheets_of_any_country(text, write):
    assert values(judge(write(text))) == {("a", 0): 90.5, ("b", 0): 91.5}


def test_quoted_line_ends_and_delimiters_in_names(write):
    judged = judge(write('arm,seed,acc\n"a, with\nlines",0,90\n"b ""quoted""",0,91\n'))
    assert [arm.arm for arm in judged.arms] == ["a, with\nlines", 'b "quoted"']


def test_parquet_gives_what_csv_gives(tmp_path, table, numbers):
    import pyarrow as pa
    from pyarrow import parquet

    path = tmp_path / "results.parquet"
    columns = {
        "arm": pa.array([arm for arm, _ in numbers]).dictionary_encode(),
        "config": pa.array([{"seed": seed, "lr": 0.1} for _, seed in numbers]),
        "test_acc": list(numbers.values()),
        "ids": [[1, 2]] * len(numbers),
    }
    parquet.write_table(pa.table(columns), path)
    judged = judge(path)
    assert judged.verdicts == judge(table).verdicts
    assert dict(judged.mapping)["seed"] == "column 'config.seed': 0, 1, 2, 3, 4, 5, 6, 7"


def test_several_columns_are_one_arm(write):
    rows = "".join(f"{o},{lr},{s},9{s}\n" for o in ("SGD", "Adam") for lr in (0.1, 0.01) for s in range(3))
    judged = judge(write("optimizer,lr,seed,acc\n" + rows), Choices(arm=("optimizer", "lr")))
    assert [arm.arm for arm in judged.arms][:2] == ["optimizer=SGD, lr=0.1", "optimizer=SGD, lr=0.01"]


def test_arm_and_seed_from_the_names_of_runs(write):
    judged = judge(write("run,acc\n" + "".join(f"{a}_seed{s},9{s}\n" for a in ("plain", "wide-2") for s in range(3))))
    assert set(values(judged)) == {(a, s) for a in ("plain", "wide-2") for s in range(3)}
    assert dict(judged.mapping)["arm"] == "names in column 'run': plain, wide-2"


def test_numbers_that_a_tracker_gives_its_runs_are_no_seeds(write):
    path = write("name,acc\ndashing-sun-1,90\nhappy-moon-2,91\nold-river-3,92\n")
    with pytest.raises(ValueError, match="no column is recognized as the seed"):
        judge(path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plain-seed3", ("plain", 3)),
        ("plain/seed-03/logs", ("plain/logs", 3)),
        ("seed=3,plain", ("plain", 3)),
        ("plain (seed 3)", ("plain", 3)),
        ("plain_random_seed_3", ("plain", 3)),
        ("resnet18_s3", ("resnet18", 3)),
        ("resnet18/3", ("resnet18", 3)),
        ("seed3", ("runs", 3)),
        ("resnet18", None),
        ("plain", None),
    ],
)
def test_names_of_runs(name, expected):
    assert split_name(name) == expected


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("test_acc", "score", "test accuracy"),
        ("testAccuracy", "score", "test accuracy"),
        ("metrics.val/top1", "score", "validation top1"),
        ("eval_loss", "loss", "evaluation loss"),
        ("test error", "error", "test error"),
        ("mean_squared_error", "loss", "mean squared error"),
        ("images_per_second", "speed", "images per second"),
        ("train_seconds", "time", "train seconds"),
        ("macc", "", "macc"),
    ],
)
def test_names_of_metrics(name, kind, text):
    assert (group(name), spoken(name)) == (kind, text)
