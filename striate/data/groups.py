"""Images that belong together, such as the frames of a film, as a number for each image: what `data.group` asks for.

Every kind of source names the group of an image in its own way. From there on a group is a number, equal for its images.
"""

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from striate.core.errors import DataError
from striate.core.records import printable
from striate.data.dataset import Labels

FOLDER = "folder"
GroupOf = Callable[[str], str]


def path_rule(text: str) -> GroupOf:
    """The function from the path of an image below its class folder to its group, empty where it has none.

    Raises:
        DataError: for what is neither `folder` nor a regular expression.
    """
    if text == FOLDER:
        return lambda path: path.split("/", 1)[0] if "/" in path else ""
    try:
        pattern = re.compile(text)
    except re.error as error:
        rule = f"data.group: '{printable(text, keep='')}' is no regular expression ({error})"
        raise DataError(f"{rule}; mend it, or write 'folder' for the folder below that of the class") from error
    which = 1 if pattern.groups else 0
    return lambda path: match[which] or "" if (match := pattern.search(path)) else ""


def group_numbers(names: Mapping[str, Sequence[str]]) -> dict[str, Labels]:
    """By part, the number of each image's group. One without a group (an empty name) gets a negative number of its own."""
    known: dict[str, int] = {}
    numbers: dict[str, Labels] = {}
    alone = 0
    for part, of_part in names.items():
        values = []
        for name in of_part:
            if name:
                values.append(known.setdefault(name, len(known)))
            else:
                alone += 1
                values.append(-alone)
        numbers[part] = np.array(values, np.int64)
    return numbers


def renumber(groups: Labels) -> Labels:
    """The same groups, numbered 0, 1, 2, ... by their first row."""
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int64)
