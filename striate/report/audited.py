"""The page of an audit: what was found in a dataset, with the pictures side by side."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from striate.audit import Audit, Copies, Flaw, ImageRef, NearPair
from striate.audit.records import KINDS, SharedGroup
from striate.data.dataset import Images
from striate.report import pages
from striate.report.mistakes import SIDE, picture_uri
from striate.report.wording import Table, count, listed, percent, whole

SECTIONS = (
    ("answer", "Findings"),
    ("between", "Between the parts"),
    ("within", "Within a part"),
    ("turned", "Perhaps alike, one of them turned"),
    ("labels", "More than one label"),
    ("flaws", "Images to look at"),
    ("classes", "Class shares"),
    ("rules", "Rules and limits"),
)
MOST_GROUPS, MOST_FLAWS = 48, 24  # shown in a section, of a kind
MOST_IMAGES = 6  # of one group of copies
MOST_SHARED = 5  # groups of frames that are named
NAMES = {"train": "training", "validation": "validation", "test": "test"}
TURNED = (
    "Features and colors chose these pairs; their score is of the pixels, after one picture was also turned and sheared. "
    "Of CIFAR-10's, about two in three are one photograph, the others two of one kind of thing, such as airplanes before a sky. "
    "So they count neither as near duplicates nor as twins: look."
)
Pictures = Callable[[Sequence[ImageRef], int], Mapping[int, Images]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """One image of a group."""

    text: str
    picture: str = ""  # a data URI
    width: int = SIDE
    height: int = SIDE


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Images side by side, and what they are."""

    title: str
    images: tuple[Shown, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Strip:
    title: str
    rule: str
    groups: tuple[Group, ...]


def build(audit: Audit, pictures: Pictures) -> str:
    """The page as HTML; `pictures` gives the images of some records by row, with sides up to so many pixels.

    Raises:
        ReportError: when a file of the page (template, style sheet) is missing.
    """
    chosen = {name: _chosen(audit, name) for name in ("between", "within", "turned", "labels")}
    sections = tuple(section for section in SECTIONS if section[0] != "turned" or audit.turned is not None)
    flawed = {kind: [flaw for flaw in audit.flaws if flaw.kind == kind] for kind in KINDS}
    shown = [image for groups in chosen.values() for one in groups[:MOST_GROUPS] for image in images_of(one)]
    shown += [flaw.image for flaws in flawed.values() for flaw in flaws[:MOST_FLAWS] if flaw.image]
    found = pictures(shown, 2 * SIDE)
    uris = {row: picture_uri(pixels) for row, pixels in found.items()}
    return pages.render(
        folder="audited/",
        over=f"audit / {audit.name}",
        contents=sections,
        section_number={name: number for number, (name, _) in enumerate(sections, 1)},
        section_title=dict(SECTIONS),
        question=f"What is wrong with {audit.name}?",
        facts=findings(audit),
        notes=audit.notes,
        strips={name: _strip(groups, uris) for name, groups in chosen.items()},
        near=audit.near is not None,
        turned_rule=f"{audit.features} {TURNED}",
        flaw_strips=[_flaw_strip(kind, flaws, uris) for kind, flaws in flawed.items() if flaws],
        classes_table=classes_table(audit),
        rules=_rules(audit),
    )


def write(audit: Audit, pictures: Pictures, path: Path) -> None:
    """Write the page, whole or not at all. It replaces a page of Striate and no other file.

    Raises:
        ReportError: for a file that is not ours, or a folder that is not there.
        RunError: when the disk refuses.
    """
    pages.write_alone(build(audit, pictures), path)


def images_of(one: Copies | NearPair) -> tuple[ImageRef, ...]:
    """The images of a group, at most MOST_IMAGES."""
    return one.images[:MOST_IMAGES] if isinstance(one, Copies) else (one.first, one.second)


def _chosen(audit: Audit, section: str) -> list[Copies | NearPair]:
    if section == "labels":
        return list(audit.two_labels)
    if section == "turned":
        # Those between the parts matter most. Each is a pair that no shift and scale explains.
        return sorted(audit.turned or (), key=lambda pair: len(pair.parts) == 1)
    groups: list[Copies | NearPair] = [*audit.copies, *(audit.near or ())]
    return [one for one in groups if (len(one.parts) > 1) == (section == "between")]


def findings(audit: Audit) -> tuple[tuple[str, str], ...]:
    """What was found, as terms and sentences."""
    kinds = Counter(flaw.kind for flaw in audit.flaws)
    flaws = listed(f"{number} {KINDS[kind]}" for kind, number in kinds.items()) if kinds else "none"
    several = len(audit.two_labels)
    return (
        ("Images", _images(audit, kinds["broken"])),
        ("Copies, pixel by pixel", _by_parts(audit.copies)),
        ("Near duplicates", "not looked for." if audit.near is None else _by_parts(audit.near)),
        *_turned(audit),
        *_twins(audit),
        *_shared(audit),
        *_divided(audit),
        ("More than one label", f"{count(several, 'group')} of copies or near duplicates." if several else "none."),
        ("Images to look at", f"{flaws}."),
    )


def _images(audit: Audit, broken: int) -> str:
    parts = listed(f"{whole(sum(counts))} {NAMES[part]}" for part, counts in audit.counts.items())
    more = f"; {broken} more cannot be read" if broken else ""
    return f"{parts}, in {count(len(audit.classes), 'class', 'classes')}{more}."


def _turned(audit: Audit) -> list[tuple[str, str]]:
    if audit.turned is None:
        return [("Perhaps alike, one of them turned", f"not looked for. {audit.features}")] if audit.features else []
    counted = " They are not counted among the near duplicates." if audit.turned else ""
    return [("Perhaps alike, one of them turned", f"{_by_parts(audit.turned)}{counted} {audit.features}")]


def _twins(audit: Audit) -> list[tuple[str, str]]:
    total, twins = sum(audit.counts.get(audit.judged_part, ())), len(audit.test_twins)
    if not twins:
        return []
    share = f"{whole(twins)} of {whole(total)} ({percent(100 * twins / total)})"
    return [
        (
            f"{NAMES[audit.judged_part].capitalize()} images seen in training",
            f"{share} have a copy or near duplicate there.",
        )
    ]


def _shared(audit: Audit) -> list[tuple[str, str]]:
    if not audit.shared:
        return []
    groups = _named(audit.shared)
    return [("Images that belong together, in several parts", f"{groups}. Keep each group in one part.")]


def _divided(audit: Audit) -> list[tuple[str, str]]:
    if not audit.divided:
        return []
    cure = f"{audit.group_cure[:1].upper()}{audit.group_cure[1:]}"
    return [("Images that belong together, divided image by image", f"{_named(audit.divided)}. {cure}.")]


def _named(groups: Sequence[SharedGroup]) -> str:
    first = listed(
        f"{one.kind} {one.name} ({listed(f'{whole(number)} {NAMES[part]}' for part, number in one.counts.items())})"
        for one in groups[:MOST_SHARED]
    )
    more = len(groups) - MOST_SHARED
    return f"{first}, and {count(more, 'more group')}" if more > 0 else first


def _by_parts(groups: Sequence[Copies | NearPair]) -> str:
    """12 between training and test, 3 within training."""
    if not groups:
        return "none."
    places = Counter(one.parts for one in groups)
    words = (
        f"{whole(number)} {'between' if len(parts) > 1 else 'within'} {listed(NAMES[part] for part in parts)}"
        for parts, number in sorted(places.items(), key=lambda item: (-len(item[0]), item[0]))
    )
    return f"{listed(words)}."


def _strip(groups: Sequence[Copies | NearPair], uris: Mapping[int, tuple[str, int]]) -> Strip:
    shown = groups[:MOST_GROUPS]
    more = f"The first {len(shown)} of {whole(len(groups))}, the most alike first." if len(groups) > len(shown) else ""
    return Strip(title="", rule=more, groups=tuple(_group(one, uris) for one in shown))


def _group(one: Copies | NearPair, uris: Mapping[int, tuple[str, int]]) -> Group:
    if isinstance(one, Copies):
        more = len(one.images) - MOST_IMAGES
        title = "Copies" + (f" and {more} more" if more > 0 else "")
    else:
        title = f"Alike {one.score:.2f}" + (", mirrored" if one.mirrored else "")
    shown = tuple(_shown(image, f"{image.label}, {NAMES[image.part]}", uris) for image in images_of(one))
    return Group(title=title, images=shown)


def _shown(image: ImageRef, text: str, uris: Mapping[int, tuple[str, int]]) -> Shown:
    uri, height = uris.get(image.row, ("", SIDE))
    return Shown(text=f"{text}: {image.name}", picture=uri, height=height)


def _flaw_strip(kind: str, flaws: Sequence[Flaw], uris: Mapping[int, tuple[str, int]]) -> Strip:
    shown = flaws[:MOST_FLAWS]
    rule = f"The first {len(shown)} of {whole(len(flaws))}." if len(flaws) > len(shown) else ""
    groups = []
    for flaw in shown:
        part = NAMES[flaw.part]
        image = _shown(flaw.image, part, uris) if flaw.image else Shown(text=f"{part}: {flaw.name}")
        groups.append(Group(title=flaw.detail, images=(image,)))
    return Strip(title=f"{count(len(flaws), 'image')} {KINDS[kind]}", rule=rule, groups=tuple(groups))


def classes_table(audit: Audit) -> Table:
    """Images of each class in each part, with their share of the part."""
    columns = [
        [f"{whole(n)} ({percent(100 * n / max(1, sum(counts)))})" for n in counts] for counts in audit.counts.values()
    ]
    rows = tuple(zip(audit.classes, *columns, strict=True))
    return Table(head=("class", *(NAMES[part] for part in audit.counts)), rows=rows)


def _rules(audit: Audit) -> tuple[str, ...]:
    return (
        "Copies have the same decoded pixels, whatever the format of the file.",
        f"Near duplicates have a score of {audit.threshold:g} or more. It is the mean of two correlations, of the colors and of the "
        "details, after one picture was laid on the other by shift, scale, brightness and contrast, and mirrored if that fits better.",
        "Pictures of one object in one pose can score as high, and a caption, a turn or a small cut-out can hide a copy. "
        "Look before you delete.",
        "Pictures are compared at 32 x 32 pixels. What differs only in finer detail counts as near.",
        "A test part that shares pictures with training measures memory. Keep all pictures of one scene in one part, or leave "
        "the twins out.",
    )
