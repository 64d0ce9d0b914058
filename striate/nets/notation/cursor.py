"""A position in a text that is being read, and errors that point at it."""

import re

from striate.core.errors import NetworkError

# How much of a long text an error shows on each side, so that the caret stays under its character on a terminal.
_CONTEXT = 40
_MAX_DIGITS = 9


class Cursor:
    """Reads a text from left to right."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def take(self, pattern: str) -> str:
        """The text here that `pattern` matches, or nothing; moves behind it."""
        match = re.compile(pattern).match(self.text, self.at)
        if not match:
            return ""
        self.at = match.end()
        return match.group()

    def is_at(self, pattern: str) -> bool:
        """Whether `pattern` matches here; does not move."""
        return re.compile(pattern).match(self.text, self.at) is not None

    @property
    def has_ended(self) -> bool:
        return self.at >= len(self.text)

    def number(self) -> int | None:
        """The whole number here, or None; moves behind it.

        Raises:
            NetworkError: for a number of more than nine digits.
        """
        at, text = self.at, self.take(r"\d+")
        if len(text) > _MAX_DIGITS:
            raise self.error(f"a number has at most {_MAX_DIGITS} digits, got {len(text)}", at)
        return int(text) if text else None

    def sizes(self) -> int | tuple[int, ...] | None:
        """One number, or one per axis as in (2,2,1), or None; moves behind it.

        Raises:
            NetworkError: for parentheses that hold something else.
        """
        if not self.is_at(r"\("):
            return self.number()
        at = self.at
        text = self.take(rf"\(\s*\d{{1,{_MAX_DIGITS}}}(\s*,\s*\d{{1,{_MAX_DIGITS}}})*\s*\)")
        if not text:
            raise self.error("sizes per axis are numbers with commas between, as in (2,2,1)", at)
        return tuple(int(number) for number in text.strip("()").split(","))

    def word(self) -> str:
        """All up to the next space, parenthesis or bar, for an error to quote."""
        match = re.compile(r"[^\s()|]*").match(self.text, self.at)
        return (match.group() if match else "") or self.text[self.at : self.at + 1]

    def error(self, message: str, at: int | None = None) -> NetworkError:
        """An error with a caret under the character at `at` (or here)."""
        at = self.at if at is None else at
        start = max(0, at - _CONTEXT)
        excerpt = ("..." if start else "") + re.sub(r"\s", " ", self.text[start : at + _CONTEXT])
        caret = " " * (at - start + (3 if start else 0)) + "^"
        return NetworkError(f"{message}\n  {excerpt}\n  {caret}")
