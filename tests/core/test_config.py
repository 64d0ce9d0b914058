"""YAML with places: what is read, what is refused, and how the complaint reads."""

import re
from typing import ClassVar, Literal

import pytest

from striate.core import config
from striate.core.errors import ConfigError
from striate.core.records import Flag, Number, Record, Whole


class Inner(Record):
    shorthand: ClassVar[str] = "source"
    source: str
    limit: Whole | None = None


class Outer(Record):
    data: Inner
    lr: Number = 0.1
    name: str = ""
    flip: Flag = False
    mode: Literal["fast", "slow"] = "fast"
    sizes: tuple[Whole, ...] = ()


def build(text: str) -> Outer:
    return config.build(Outer, config.parse(text, "study.yaml"))


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 0.001), ("5e-4", 0.0005), ("1.5E+2", 150.0), (".5", 0.5), ("3", 3), ("-2", -2), ("1.", 1.0)],
)
def test_a_number_with_an_exponent_is_a_number(text, value):
    assert build(f"data: d\nlr: {text}\n").lr == value


@pytest.mark.parametrize("word", ["on", "off", "yes", "no", "y", "n", "010x", "1_000", "0x1F", "12:30"])
def test_words_that_old_yaml_reads_as_something_else_are_words(word):
    assert config.parse(f"name: {word}", "study.yaml").data == {"name": word}


def test_a_number_with_a_leading_zero_is_decimal():
    assert config.parse("a: 010", "study.yaml").data == {"a": 10}


def test_a_record_may_be_written_short():
    assert build("data: digits").data == Inner(source="digits")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: d\nlrr: 1", "study.yaml, line 2: lrr: unknown key; did you mean 'lr'?"),
        ("data: d\nLR: 1", "study.yaml, line 2: LR: unknown key; did you mean 'lr'?"),
        ("data: d\nzzz: 1", "study.yaml, line 2: zzz: unknown key; known here: data, flip, lr, mode, name, sizes"),
        ("data:\n  source: d\n  limt: 3", "study.yaml, line 3: data.limt: unknown key; did you mean 'limit'?"),
        ("lr: 1", "study.yaml: data: is missing"),
        ("data: d\nlr: fast", "study.yaml, line 2: lr: must be a number, got 'fast'"),
        ("data: d\nlr: true", "study.yaml, line 2: lr: must be a number, got True"),
        ("data: d\nlr: .nan", "study.yaml, line 2: lr: must be a number, got nan"),
        ("data: d\nlr:", "study.yaml, line 2: lr: must be a number, got nothing"),
        ("data: d\nname: 12", "study.yaml, line 2: name: must be text, got 12; put it in quotes: '12'"),
        ("data: d\nflip: 1", "study.yaml, line 2: flip: must be true or false, got 1"),
        ("data: d\nmode: medium", "study.yaml, line 2: mode: must be one of 'fast' or 'slow', got 'medium'"),
        ("data: d\nsizes: 3", "study.yaml, line 2: sizes: must be a list, got 3"),
        ("data: d\nsizes: [1, 2.5]", "study.yaml, line 2: sizes.1: must be a whole number, got 2.5"),
        ("data: [d]", "study.yaml, line 1: data: must be keys and values, got ['d']"),
        ("data: d\nlr: 1\nlr: 2", "study.yaml, line 3: lr: is given twice; keep one of them"),
        ("data: [d", "study.yaml, line 1: not valid YAML: expected ',' or ']', but got '<stream end>'"),
        ("data: d\n\tlr: 1", "study.yaml, line 2: not valid YAML: found character '\\t' that cannot start any token"),
        ("- a\n- b", "study.yaml: must be keys and values (question: ..., data: ...), got ['a', 'b']"),
        ("just words", "study.yaml: must be keys and values (question: ..., data: ...), got 'just words'"),
        (
            "data: d\nname: !!int foo",
            "study.yaml, line 2: name: must be a whole number of at most 18 digits, or text in quotes, got 'foo'",
        ),
        (
            "data: d\nsizes: [1, 12345678901234567890123456]",
            "study.yaml, line 2: sizes.1: must be a whole number of at most 18 digits, or text in quotes, "
            "got '12345678901234567890123456'",
        ),
        ("data: d\nflip: !!bool maybe", "study.yaml, line 2: flip: must be true or false, got 'maybe'"),
        (
            "data: !!python/name:os.system d",
            "study.yaml, line 1: data: the tag python/name:os.system is not read here; remove it",
        ),
        ("data: !!binary aGk=", "study.yaml, line 1: data: the tag binary is not read here; remove it"),
        ("data: d\n\nname: \x07", "study.yaml, line 3: not valid YAML: the character '\\x07'"),
        ("data: d\n<<: {lr: 1}", "study.yaml, line 2: <<: merge keys are not read here; write the values out"),
        ("data: " + "[" * 3000, "study.yaml, line 1: values are nested more than 50 levels deep"),
        ("data: &x {source: *x}", "study.yaml, line 1: an alias stands inside what it repeats"),
        ("a: &x 1\nb: *y", "study.yaml, line 2: not valid YAML: found undefined alias 'y'"),
    ],
)
def test_a_complaint_has_place_rule_value_and_cure(text, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        build(text)


@pytest.mark.parametrize(
    "word", ["08", "1e5", "1e3", "true", "null", "~", "", "on", "no", "3", "1.5", "a: b", "- x", "Größe 猫?", "1_000"]
)
def test_what_is_dumped_is_read_back_as_the_same(word):
    data = {"name": word, "values": [word, 8, 1e-5, 1e5, None, True, 1e30], word or "empty": {}}
    assert config.parse(config.dump(data), "x").data == data


def test_an_override_reaches_into_a_record_written_short():
    document = config.override(config.parse("data: d", "s.yaml"), Outer, {"data.limit": 5}, "on the command line")
    assert config.build(Outer, document).data == Inner(source="d", limit=5)


def test_an_override_leaves_the_document_it_came_from_alone():
    before = config.parse("data: {source: d}", "s.yaml")
    config.override(before, Outer, {"data.limit": 5}, "on the command line")
    assert before.data == {"data": {"source": "d"}}


def test_a_wrong_override_is_placed_on_the_command_line():
    document = config.override(config.parse("data: d", "s.yaml"), Outer, {"data.limt": 5}, "on the command line")
    message = "on the command line: data.limt: unknown key; did you mean 'limit'?"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        config.build(Outer, document)


def test_an_override_inside_a_number_is_refused():
    with pytest.raises(ConfigError, match=r"lr\.deep: cannot set 'deep' inside 3"):
        config.override(config.parse("data: d\nlr: 3", "s.yaml"), Outer, {"lr.deep": 5}, "on the command line")


@pytest.mark.parametrize(
    ("text", "parsed"),
    [("a.b=1e-3", ("a.b", 0.001)), ("a=", ("a", None)), ("a=[1, 2]", ("a", [1, 2])), ("a=x=y", ("a", "x=y"))],
)
def test_an_assignment_is_read_as_yaml(text, parsed):
    assert config.assignment(text) == parsed


@pytest.mark.parametrize("text", ["epochs", "=3", "a..b=3"])
def test_what_is_no_assignment_is_refused(text):
    with pytest.raises(ConfigError, match=r"an override is written key\.sub=value"):
        config.assignment(text)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"gone\.yaml: there is no such file"):
        config.read(tmp_path / "gone.yaml")


def test_a_file_that_is_not_text_is_named(tmp_path):
    (tmp_path / "picture.yaml").write_bytes(b"a: \xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8 text, and byte 3 is not"):
        config.read(tmp_path / "picture.yaml")


BOMB = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
CHAIN = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 60))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "study.yaml, line 5: a4: there are more than 10,000 values, with what aliases repeat"),
        (CHAIN, "study.yaml, line 49: a48: values are nested more than 50 levels deep, with what aliases repeat"),
        (
            "a:\n" + "".join(f"{' ' * n}- \n" for n in range(1, 60)),
            "study.yaml, line 51: values are nested more than 50 levels deep",
        ),
        ("a: [" + "1, " * 20_000 + "1]", "study.yaml, line 1: there are more than 10,000 values"),
        ("a:\n" + "- 1\n" * 400_000, "study.yaml, line 10000: there are more than 10,000 values"),
    ],
    ids=["alias bomb", "chain of aliases", "deep", "wide", "long"],
)
def test_a_file_that_would_keep_the_reader_busy_is_refused(text, message):
    """The bomb would be a hundred million values."""
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        build(text)


@pytest.mark.parametrize("text", ["a: " + "[" * 49 + "]" * 49, "a: [" + "1, " * 9_990 + "]", "a: 999999999999999999"])
def test_what_is_within_the_limits_is_read(text):
    config.parse(text, "study.yaml")


def test_a_large_file_is_refused_before_it_is_read(tmp_path):
    (tmp_path / "large.yaml").write_bytes(b"a: " + b"x" * 1_000_000)
    with pytest.raises(ConfigError, match=r"large\.yaml: is larger than 1 MB, which no study file is"):
        config.read(tmp_path / "large.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a=" + "[" * 3000, "on the command line: a: values are nested more than 50 levels deep"),
        ("a={b: 1, b: 2}", "on the command line: a: b: is given twice; keep one of them"),
        ("a=!!float x", "on the command line: a: must be a number, got 'x'"),
        ("a=[1", "on the command line: a: not valid YAML: expected ',' or ']', but got '<stream end>'"),
    ],
)
def test_a_wrong_value_on_the_command_line_is_placed_there(text, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        config.assignment(text)


BOMB_IN_A_LIST = "[" + "&a0 [x], " + ", ".join(f"&a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)) + "]"


def test_a_bomb_without_a_key_is_refused_too():
    with pytest.raises(ConfigError, match=r"^on the command line: a: 4: there are more than 10,000 values"):
        config.assignment(f"a={BOMB_IN_A_LIST}")
    with pytest.raises(ConfigError, match=r"^study\.yaml, line 1: 4: there are more than 10,000 values"):
        build(BOMB_IN_A_LIST)


def test_a_key_of_too_many_parts_is_refused():
    with pytest.raises(ConfigError, match=r"^on the command line: values are nested more than 50 levels deep$"):
        config.override(config.parse("data: d", "s.yaml"), Outer, {"a." * 2000 + "b": 5}, "on the command line")
