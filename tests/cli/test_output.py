"""What is printed cannot steer the terminal."""

from types import SimpleNamespace

import pytest

from striate.cli import output
from striate.cli.progress import _Bars, _Lines
from striate.studies.execute.protocol import Failed, Note, Started, Task
from tests.studies.conftest import STUDY, write_study

EVIL = "a\x1b]0;title\x07b\rc\x9bd\u202ee"
SHOWN = r"a\x1b]0;title\x07b\rc\x9bd\u202ee"


def test_lines_and_tables_are_printed_so(capsys):
    output.out(EVIL)
    output.out(EVIL, error=True)
    output.table(["name"], [[EVIL + "\nforged"]])
    out, err = capsys.readouterr()
    assert [line.rstrip() for line in out.splitlines()] == [SHOWN, "name", f"{SHOWN}\\nforged"]
    assert err == f"{SHOWN}\n"
    assert "\x1b" not in out + err


ARMS = ["one layer, average", "normalized, our-own-long-recipe"]
CHANGES = "network.layers=conv16 pool conv32 pool conv64 gap recipe.augment.flip=true"


@pytest.mark.parametrize("width", [80, 72])
def test_a_table_breaks_lines_between_words(width, capsys, monkeypatch):
    monkeypatch.setattr(output, "_STDOUT", output.Console(width=width, highlight=False, soft_wrap=True))
    output.table(
        ["arm", "changes", "parameters", "runs"], [[arm, CHANGES, "140,714", "3"] for arm in ARMS], right={2, 3}
    )
    out = capsys.readouterr().out
    assert all(len(line) <= width for line in out.splitlines())
    words = [*" ".join(ARMS).split(), *CHANGES.split(), "parameters", "140,714"]
    assert [word for word in words if word not in out.split()] == []


def test_no_letter_is_lost_at_the_edge_of_a_narrow_terminal(capsys, monkeypatch):
    """The table of arms where a run did not train lost a part of its last column."""
    monkeypatch.setattr(output, "_STDOUT", output.Console(width=80, highlight=False, soft_wrap=True))
    head = ["arm", "test accuracy", "deviation", "95 % interval", "seeds", "seconds", "parameters", "not trained"]
    row = ["from-scratch", "73.6 %", "2.7", "66.4 to 79.8", "3", "19.3", "391,426", "2: 1 diverged"]
    output.table(head, [row], right={1, 2})
    out = capsys.readouterr().out
    assert sorted("".join(out.split())) == sorted("".join("".join(head + row).split()))
    assert all(len(line) <= 80 for line in out.splitlines())


def test_a_word_longer_than_the_terminal_is_broken_and_shown_whole(capsys, monkeypatch):
    monkeypatch.setattr(output, "_STDOUT", output.Console(width=30, highlight=False, soft_wrap=True))
    output.table(["arm", "changes"], [["a" * 40, "b" * 25]])
    out = capsys.readouterr().out
    assert (out.count("a"), out.count("b")) == (40 + 2, 25)  # 'arm' and 'changes' have an a each
    assert all(len(line) <= 30 for line in out.splitlines())


def test_markup_in_a_name_is_text(capsys):
    output.out("[red]arm[/red]")
    assert capsys.readouterr().out == "[red]arm[/red]\n"


@pytest.mark.parametrize("display", [_Lines, _Bars])
def test_progress_is_printed_so(display, capsys, tmp_path):
    shown = display()
    study = SimpleNamespace(name=EVIL)
    shown.on_plan(SimpleNamespace(study=study, runs=[1], due=[1], missing=[1], notes=[EVIL]))
    task = Task(f"[red]{EVIL}[/red]\nforged", None, tmp_path, ())
    shown.on_event(Started(task))
    shown.on_event(Note(task, EVIL))
    shown.on_event(Failed(task, EVIL))
    err = capsys.readouterr().err
    assert not set("\x1b\x07\r\x9b\u202e") & set(err)


def test_names_from_the_command_line_files_and_studies_are_printed_so(striate, tmp_path):
    folder = tmp_path / "evil\x1b[31m"
    for words in (
        ["status", folder],
        ["report", folder],
        ["run", f"{folder}.yaml"],
        ["run", "quickstart", f"data={folder}"],
        ["run", "quickstart", "recipe.optimizer.name=\x1b[31m"],
        ["summary", "conv8\x1b[31m"],
        ["recipes", "\x1b[31m"],
        ["\x1b[31m"],
    ):
        code, out, err = striate(*words)
        assert (code, out) == (1, "")
        assert "\x1b" not in err, words
        assert "x1b" in err, words
    path = write_study(tmp_path, STUDY.replace("Does", '"\\eDoes').replace("help?", 'help?"'))
    code, out, err = striate("check", path, "--no-time", "--out", tmp_path / "runs")
    assert (code, out) == (1, "")
    assert "\x1b" not in err


def test_the_name_of_a_data_file_is_printed_so(striate, tmp_path):
    path = write_study(tmp_path, STUDY)
    images = (tmp_path / "squares.npz").rename(tmp_path / "squ\x1bares.npz")
    code, out, err = striate("check", path, f"data={images}", "--no-time", "--out", tmp_path / "runs")
    assert "\x1b" not in out + err
    assert r"squ\x1bares" in out + err, code


def test_the_names_inside_a_module_of_one_s_own_are_printed_so(striate, tmp_path, monkeypatch):
    (tmp_path / "evil_module.py").write_text(
        "from torch import nn\n"
        "def make(classes):\n"
        "    module = nn.Sequential(nn.Flatten())\n"
        "    module.add_module('a\\x1b[31m', nn.Linear(64, classes))\n"
        "    return module\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    code, out, _ = striate("summary", "import=evil_module:make", "--input", "1x8x8")
    assert code == 0
    assert "\x1b" not in out
    assert r"a\x1b[31m" in out
