"""A place in a text that is being read, and complaints that point at it."""

import re

from striate.core.errors import NetworkError

# How much of a long text an error shows on each side, so that the caret stays under its character on a terminal.
_AROUND = 40


class Cursor:
    """Reads a text from left to right."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def take(self, pattern: str) -> str:
        """What `pattern` matches here, or nothing; moves behind it."""
        found = re.compile(pattern).match(self.text, self.at)
        if not found:
            return ""
        self.at = found.end()
        return found.group()

    def see(self, pattern: str) -> bool:
        """Whether `pattern` matches here; stays."""
        return re.compile(pattern).match(self.text, self.at) is not None

    @property
    def ended(self) -> bool:
        return self.at >= len(self.text)

    def word(self) -> str:
        """All up to the next space, parenthesis or bar, as an error quotes it."""
        found = re.compile(r"[^\s()|]*").match(self.text, self.at)
        return (found.group() if found else "") or self.text[self.at : self.at + 1]

    def error(self, message: str, at: int | None = None) -> NetworkError:
        """The complaint, with a caret under the character at `at` (or here)."""
        at = self.at if at is None else at
        start = max(0, at - _AROUND)
        excerpt = ("..." if start else "") + re.sub(r"\s", " ", self.text[start : at + _AROUND])
        caret = " " * (at - start + (3 if start else 0)) + "^"
        return NetworkError(f"{message}\n  {excerpt}\n  {caret}")
