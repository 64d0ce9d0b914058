"""Tables to verdicts: the same as the engine gives for the numbers themselves."""

import numpy as np
import pytest

from striate.core.errors import TableError
from striate.tables import Choices, Table, judge, judge_table
from striate.tables.judge import Question
from striate.verdicts import ArmResults, Design, Metric, compare


def test_the_verdicts_are_those_of_the_engine(table, numbers):
    judged = judge(table)
    arms = {a: ArmResults(arm=a, values={s: 100 * v for (b, s), v in numbers.items() if a == b}) for a in "abc"}
    assert list(judged.verdicts) == compare([(arms["b"], arms["a"]), (arms["c"], arms["a"])], Design())
    assert [verdict.label for verdict in judged.verdicts] == ["clearly better", "no difference that matters"]
    assert dict(judged.mapping)["metric"].startswith("'test_acc': test accuracy, shares from 0 to 1")
    assert judged.notes == ()


def test_comparisons_baseline_and_what_matters_can_be_set(table):
    judged = judge(table, question=Question(baseline="c", matters=2.0))
    assert [verdict.comparison for verdict in judged.verdicts] == ["a - c", "b - c"]
    assert {verdict.label for verdict in judged.verdicts} == {"no difference that matters"}
    judged = judge(table, question=Question(compare=("b - c", "c - b", "b - c"), comparisons=10))
    assert [verdict.comparison for verdict in judged.verdicts] == ["b - c", "c - b"]
    assert judged.verdicts[0].comparisons == 10
    assert "outside the planned look" in judge(table, question=Question(grown=True)).verdicts[0].sentence


def test_a_time_is_judged_by_ratios_and_a_loss_by_its_unit(write):
    rows = [
        f"{arm},{seed},{t * (1 + seed / 500)},{loss}"
        for seed in range(5)
        for arm, t, loss in (("a", 100, 0.5), ("b", 131, 0.4))
    ]
    path = write("arm,seed,train_seconds,test_loss\n" + "\n".join(rows))
    slower = judge(path, Choices(metric="train_seconds")).verdicts[0]
    assert slower.metric == Metric(
        name="train seconds", scale="ratio", unit="s", lower_is_better=True, on_test_images=False
    )
    assert slower.label == "clearly worse"
    assert slower.interval.mean == pytest.approx(31)
    lower = judge(path, Choices(metric="test_loss"), Question(matters=0.01)).verdicts[0]
    assert (lower.label, lower.metric.lower_is_better) == ("clearly better", True)
    with pytest.raises(TableError, match=r"which difference of 'test loss' matters is not known; .* --matters 0.01"):
        judge(path, Choices(metric="test_loss"))


@pytest.mark.parametrize("form", ["columns", "rows"])
def test_one_value_for_each_image_gives_what_holds_on_new_images(form, write):
    generator = np.random.default_rng(0)
    hard = generator.random(400)
    right = {
        (arm, seed): generator.random(400) * 0.3 + hard * 0.7 < limit
        for arm, limit in (("a", 0.7), ("b", 0.75))
        for seed in range(5)
    }
    if form == "columns":
        lines = [",".join(["arm", "seed", *(f"image_{i}" for i in range(400))])]
        lines += [",".join([arm, str(seed), *map(str, row.astype(int))]) for (arm, seed), row in right.items()]
    else:
        lines = ["arm,seed,image,correct"]
        lines += [f"{arm},{seed},{i},{int(x)}" for (arm, seed), row in right.items() for i, x in enumerate(row)]
    judged = judge(write("\n".join(lines)))
    values = {key: 100 * row.mean() for key, row in right.items()}
    arms = [
        ArmResults(
            arm=arm,
            values={seed: values[arm, seed] for seed in range(5)},
            test_images=400,
            test_digest="same",
            right={seed: right[arm, seed] for seed in range(5)},
        )
        for arm in "ba"
    ]
    name = "test accuracy" if form == "columns" else "correct"
    expected = compare([tuple(arms)], Design(metric=Metric(name=name)))[0]
    assert judged.verdicts[0].new_images == expected.new_images
    assert judged.verdicts[0].sentence == expected.sentence
    assert "test images only b" in judged.verdicts[0].details


def test_arms_with_other_images_are_not_compared(write):
    lines = [f"{arm},{seed},{i + (arm == 'b')},1" for arm in "ab" for seed in range(3) for i in range(20)]
    judged = judge(write("arm,seed,image,correct\n" + "\n".join(lines)))
    assert judged.verdicts[0].label == "not comparable"
    assert "tested on different images" in judged.verdicts[0].sentence


def test_missing_pairs_are_named(write):
    path = write(
        "arm,seed,acc\n"
        + "".join(f"{a},{s},9{s}.{s * (a == 'b')}\n" for a in "ab" for s in range(5) if (a, s) != ("b", 2))
    )
    judged = judge(path)
    assert judged.notes == ("Runs that are missing, so their seeds have no pair: b (seed 2).",)
    assert "Left out, as the other arm has no such run: seed 2 of a." in judged.verdicts[0].sentence


def test_a_value_that_is_not_finite_is_a_run_that_diverged(write):
    rows = "".join(f"a,{s},9{s}\nb,{s},{['91.0', 'nan', '92.5', 'inf', ''][s]}\n" for s in range(5))
    judged = judge(write("arm,seed,acc\n" + rows))
    assert judged.arms[1].failures == {1: "diverged", 3: "diverged"}
    assert "2 runs without a finite 'acc' count as diverged." in judged.notes
    assert "Runs without a result, which are left out: b seed 4." in judged.notes
    assert "Failed to train" in judged.verdicts[0].sentence
    assert set(judge(write("arm,seed,acc\n" + rows), question=Question(empty="diverged")).arms[1].failures) == {1, 3, 4}


def test_runs_that_crashed_do_not_count(write):
    rows = "".join(f"{a},{s},9{s},{'crashed' if (a, s) == ('b', 1) else 'finished'}\n" for a in "ab" for s in range(5))
    judged = judge(write("arm,seed,acc,state\n" + rows))
    assert 1 not in judged.arms[1].values
    assert "Runs without a result, which are left out: b seed 1 (crashed)." in judged.notes


def test_of_a_history_the_last_epoch_counts_or_the_one_that_is_asked_for(write):
    rows = "".join(
        f"{a},{s},{e},{80 + 3 * e - (e == 4) * 5 + s / 10 + (a == 'b')}\n"
        for a in "ab"
        for s in range(4)
        for e in range(5)
    )
    path = write("arm,seed,epoch,acc\n" + rows)
    assert judge(path).arms[0].values[0] == 87
    assert judge(path, question=Question(at="max")).arms[0].values[0] == 89
    assert "chosen by the metric itself" in judge(path, question=Question(at="max")).notes[0]
    assert judge(path, question=Question(at="1")).arms[0].values[0] == 83
    assert dict(judge(path).mapping)["step"] == "column 'epoch': the last epoch of each run with a value: 4"
    uneven = write("arm,seed,epoch,acc\n" + rows + "b,0,5,99\n")
    assert "end at different values of 'epoch', from 4 to 5" in judge(uneven).notes[0]


def test_a_million_rows_take_seconds(write):
    generator = np.random.default_rng(0)
    answers = generator.random((100, 10_000)) < 0.9
    arms, seeds, images = np.meshgrid(["a", "b"], np.arange(50), np.arange(10_000), indexing="ij")
    table = Table.of(
        "big", "CSV", {"arm": arms.ravel().tolist(), "seed": seeds.ravel().tolist(), "image": images.ravel().tolist(),
                       "correct": answers.ravel().tolist()},
    )  # fmt: skip
    judged = judge_table(table)
    assert judged.arms[0].test_images == 10_000
    assert judged.verdicts[0].new_images


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty; give a table with a header and a row for each run"),
        ("\n \n", "is empty"),
        ("arm,seed,acc\n", "has a header and no rows"),
        ("arm,seed,acc\na,0,90\na,1,91\n", r"has one arm, 'a' \(column 'arm'\); a verdict needs two, so .* --arm"),
        ("arm,seed,acc\na,0,90\na,0,91\nb,0,92\n", "data rows 1 and 2: both are of arm 'a', seed 0; leave one out, or .* --step"),
        ("arm,seed,acc\na,0,90\nb,0,much\n", "data row 2: 'acc' must be a number, got 'much'"),
        ("arm,seed,acc\na,0,90\nb,x,91\n", "data row 2: 'seed' must be a whole number, got 'x'"),
        ("arm,seed,acc\na,0,90\nb,,91\n", "data row 2: 'seed' is empty"),
        ("arm,seed,acc\na,0,90\nb,0,90\n,0,91\n", "data row 3: 'arm' is empty"),
        ("arm,seed,acc\na,0,90\nb,0\n", r"row 3 \(the header is row 1\): must have 3 cells like the header, has 2"),
        ("arm,seed,acc\na,0,0.9\nb,0,91\n", "must be in percent or in shares, has values from 0.9 to 91"),
        ("arm,seed,acc,acc\na,0,1,1\n", "two columns are called 'acc'"),
        ("a,0,0.91\nb,0,0.92\n", "the first row must name the columns, got '0.91'"),
        ("arm,seed,score\na,0,3\nb,0,4\n", "whether a higher or a lower 'score' is better is not known; say --better"),
        ("arm,seed,x,y\na,0,3,1\nb,0,4,1\n", "no column is recognized as the metric; name it with --metric. Numbers are in: x, y"),
        ("arm,acc\na,90\nb,91\n", "no column is recognized as the seed; name it with --seed"),
        ("lr,seed,acc\n0.1,0,90\n0.2,0,91\n0.1,1,92\n", r"recognized as the arm; name it with --arm. There are: lr \(2 values\)$"),
        ("arm,seed,acc\na,0,\nb,0,\n", "no run has a value of 'acc'|'acc' has no value in any row"),
        ("arm,seed,acc\n" + "".join(f"run{i},0,9\n" for i in range(201)), "column 'arm' has 201 values, which are too many"),
        (b"arm,seed,acc\na\0b,0,1\n", "is no text file"),
        (b"\xff\xfea\0r", "is marked as utf-16 and is not|is empty|no column"),
        (b"PAR1 and nothing", "is broken parquet"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_refused_in_one_sentence(content, message, write):
    with pytest.raises(TableError, match=message) as refused:
        judge(write(content))
    assert "\n" not in str(refused.value)
    assert str(write(content)) in str(refused.value)


@pytest.mark.parametrize(
    ("choices", "question", "message"),
    [
        (Choices(metric="tset_acc"), Question(), "there is no column 'tset_acc'; did you mean 'test_acc'?"),
        (Choices(images="x*"), Question(), r"no column is called 'x\*'"),
        (Choices(), Question(baseline="A"), "--baseline: there is no arm 'A'; did you mean 'a'?"),
        (Choices(), Question(compare=("a - d",)), "--compare: there is no arm 'd'"),
        (Choices(), Question(compare=("a",)), "--compare must name two arms"),
        (Choices(metric="seed", seed="seed"), Question(kind="ratio", better="lower"), "'seed' as ratio must be above 0, has 0"),
        (Choices(metric="seed", seed="seed"), Question(kind="share", better="lower"), "'seed' as share must be from 0 to 1, has 2"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit_are_refused(choices, question, message, table):
    with pytest.raises(TableError, match=message):
        judge(table, choices, question)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(TableError, match="there is no such file or folder"):
        judge(tmp_path / "none.csv")
