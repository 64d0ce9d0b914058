"""Fingerprints: equal for what is the same, different for what is not."""

import pytest
from pydantic import ValidationError

from striate.core.records import Number, Record, Whole, fingerprint, location_field


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
