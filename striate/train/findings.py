"""What an audit found, in sentences; and whether there is time for one."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from striate.audit import Audit, Copies, NearPair, audit
from striate.audit.records import KINDS, SharedGroup
from striate.core.errors import DataError
from striate.train.rules import Chosen
from striate.train.survey import Survey

SHARE_OF_TIME = 0.1
# Looking for near duplicates: two minutes for 60,000 images, and the time grows with the square of their number.
NEAR_SECONDS, NEAR_IMAGES = 120.0, 60_000
NAMED = 3  # files of a kind


@dataclass(frozen=True)
class Findings:
    """What an audit found, in sentences, and the `data.group` that it asks for."""

    sentences: tuple[str, ...]
    group: Chosen | None = None


def audited(source: str, looked: Survey, seconds: float) -> Findings:
    """The findings; `seconds` is the time of the whole command, of which an audit gets a tenth."""
    near = NEAR_SECONDS * (looked.images / NEAR_IMAGES) ** 2
    reading = looked.images * looked.seconds_of_image
    if reading > SHARE_OF_TIME * seconds:
        return Findings((f"not audited, which would take about {reading:.0f} s: see 'striate audit'",))
    with_near = reading + near <= SHARE_OF_TIME * seconds
    try:
        found = audit(source, near=with_near)
    except DataError as error:
        return Findings((f"not audited: {error}",))
    return Findings(tuple(sentences(found)), _group(found))


def _group(found: Audit) -> Chosen | None:
    """What keeps images that belong together in one part, where there are such images and a rule for them."""
    if not found.group:
        return None
    why = f"{_groups(found.divided)}: frames of one film in two parts would measure memory, so each stays in one"
    return Chosen(found.group, why)


def _groups(groups: Sequence[SharedGroup]) -> str:
    first = groups[0]
    many = "1 group of images belongs" if len(groups) == 1 else f"{len(groups):,} groups of images belong"
    return f"{many} together, such as {_images(sum(first.counts.values()))} of {first.kind} '{first.name}'"


def sentences(found: Audit) -> Iterator[str]:
    """A sentence for each kind of finding; one that says so where there is none."""
    said = False
    for kind, words in KINDS.items():
        names = [flaw.name for flaw in found.flaws if flaw.kind == kind]
        if names:
            said = True
            yield f"{_images(len(names))} {words}: {_list(names)}"
    for what, groups in (("copies, pixel by pixel", found.copies), ("near duplicates", found.near or ())):
        places = Counter(_place(group) for group in groups)
        for place, number in sorted(places.items()):
            said = True
            yield f"{what}: {number:,} {place}, such as {_example(next(g for g in groups if _place(g) == place))}"
    if several := found.two_labels:
        said = True
        yield f"copies or near duplicates with more than one label: {len(several):,}, such as {_example(several[0])}"
    if found.shared:
        said = True
        yield f"{_groups(found.shared)}, in several parts"
    if found.divided:
        said = True
        yield f"{_groups(found.divided)}; {found.group_cure}"
    if not said:
        near = " and no near duplicates" if found.near is not None else ""
        yield f"no image is broken, tiny, blank, dark or of an odd size; no copies{near}"
    if found.near is None:
        yield "near duplicates were not looked for, for want of time: see 'striate audit'"


def _place(group: Copies | NearPair) -> str:
    return f"within {group.parts[0]}" if len(group.parts) == 1 else f"between {' and '.join(group.parts)}"


def _example(group: Copies | NearPair) -> str:
    images = group.images[:2] if isinstance(group, Copies) else (group.first, group.second)
    return " and ".join(f"{image.name} ({image.label})" for image in images)


def _images(number: int) -> str:
    return f"{number:,} image{'s' * (number != 1)}"


def _list(names: list[str]) -> str:
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
