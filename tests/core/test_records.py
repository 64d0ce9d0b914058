"""Fingerprints: equal for what is the same, different for what is not."""

import pytest
from pydantic import ValidationError

from striate.core.errors import ConfigError, DataError
from striate.core.records import Number, Record, Whole, check_name, fingerprint, location_field, printable


class Young(Record):
    lr: Number = 0.1
    path: str = location_field("here")


class Grown(Record):
    """The same record some releases later."""

    lr: Number = 0.1
    path: str = location_field("here")
    warmup: Whole = 0


class Holder(Record):
    inner: Young = Young()
    words: dict[str, int] = {}


def test_defaults_and_places_do_not_count():
    assert fingerprint(Young()) == fingerprint(Young(lr=0.1, path="elsewhere"))


def test_a_new_field_at_its_default_keeps_old_fingerprints():
    assert fingerprint(Grown(lr=0.2)) == fingerprint(Young(lr=0.2))
    assert fingerprint(Grown(lr=0.2, warmup=1)) != fingerprint(Young(lr=0.2))


def test_what_decides_counts_at_every_depth():
    assert fingerprint(Holder(inner=Young(lr=0.2))) != fingerprint(Holder())
    assert fingerprint(Holder(inner=Young(path="elsewhere"))) == fingerprint(Holder())


def test_order_of_keys_and_spelling_of_numbers_do_not_count():
    assert fingerprint(Holder(words={"a": 1, "b": 2})) == fingerprint(Holder(words={"b": 2, "a": 1}))
    assert fingerprint({"x": 1}) == fingerprint({"x": 1.0})
    assert fingerprint({"x": True}) != fingerprint({"x": 2})


def test_a_fingerprint_is_stable_across_releases():
    """A changed value here means that every finished run of every user would be trained again."""
    assert fingerprint({"a": [1, 2.5, "x"], "b": None}) == "452aef5bb519"


def test_a_record_is_frozen_and_refuses_unknown_keys():
    with pytest.raises(ValidationError, match="frozen"):
        Young().lr = 1.0
    with pytest.raises(ValidationError, match="Extra inputs"):
        Young(speed=1)


def test_replace_checks_again():
    assert Young().replace(lr=0.5).lr == 0.5
    with pytest.raises(ValidationError, match="lr"):
        Young().replace(lr="fast")


@pytest.mark.parametrize("name", ["plain", "lr=0.1 norm=batch", "Größe 猫", "a/b", "👩‍🔬", "x" * 100])
def test_a_name_of_one_line_is_allowed(name):
    assert check_name(name, "name") == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "an arm's name must not be empty"),
        (" ", "an arm's name must not be empty"),
        ("x" * 101, f"an arm's name must have at most 100 characters, got 101: '{'x' * 40}...'"),
        ("a\x1b[2J", r"an arm's name must not contain the control character \x1b, got 'a\x1b[2J'"),
        ("a\nb", r"an arm's name must not contain the control character \n, got 'a\nb'"),
        ("a\u202eb", r"an arm's name must not contain the control character \u202e, got 'a\u202eb'"),
        ("a\u2028b", r"an arm's name must not contain the control character \u2028, got 'a\u2028b'"),
        ("a\udcff", r"an arm's name must not contain the control character \udcff, got 'a\udcff'"),
        ("a\x00", r"an arm's name must not contain the control character \x00, got 'a\x00'"),
    ],
)
def test_a_name_that_a_terminal_would_obey_is_refused(name, message):
    with pytest.raises(ConfigError) as refused:
        check_name(name, "an arm's name")
    assert str(refused.value) == message


def test_a_name_is_refused_with_the_error_of_its_room():
    with pytest.raises(DataError, match="a class"):
        check_name("\n", "a class", DataError)


def test_printable_text_keeps_lines_and_shows_what_a_terminal_would_obey():
    assert printable("one\n\ttwo é猫") == "one\n\ttwo é猫"
    assert printable("\x1b]0;title\x07\r\x9b2J\u202e\udcff\uffff") == r"\x1b]0;title\x07\r\x9b2J\u202e\udcff\uffff"
