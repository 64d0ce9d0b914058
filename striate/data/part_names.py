"""The words by which people name the parts of a dataset, in the names of folders, files and arrays."""

import re

WORDS = {
    "train": "train", "training": "train", "trn": "train", "trainset": "train",
    "validation": "validation", "val": "validation", "valid": "validation", "validate": "validation", "validating": "validation",
    "dev": "validation", "devel": "validation", "development": "validation", "eval": "validation", "evaluation": "validation",
    "valset": "validation", "devset": "validation",
    "test": "test", "testing": "test", "tst": "test", "testset": "test", "holdout": "test",
}  # fmt: skip
# An acronym, a capitalized or plain word: "XTrain" and "x_train" are the same two words.
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")


def words(name: str) -> list[str]:
    """The words of a name in lower case, without numbers."""
    return [word.lower() for word in _WORD.findall(name)]


def part_called(name: str) -> str:
    """The part whose name this is, whole: `val`, `Validation`; empty for any other."""
    return WORDS.get(name.lower(), "")


def part_in(name: str) -> str:
    """The part that a word of this name says: `seg_train`, `Test Set`, `cifar-valid-0001`; empty for none or two."""
    parts = {WORDS[word] for word in words(name) if word in WORDS}
    return parts.pop() if len(parts) == 1 else ""
