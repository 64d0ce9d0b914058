"""The pictures and numbers of each kind: filters, maps, patches, attribution, unit. Arrays come from the modules of each kind."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from striate.explain import pictures
from striate.explain.filters import TWIN_COSINE, Filters, filters
from striate.explain.maps import dead_units, feature_maps
from striate.explain.pictures import MOST_BYTES, Picture
from striate.explain.request import Request, chosen_images, chosen_layers
from striate.explain.run import Subject
from striate.runs.records import ExplainedPicture, ExplainedSection, ExplainedTable

Progress = Callable[[float], None]
MOST_TILES = 64
COLUMNS = 8


def silent(_share: float) -> None:
    """Reports no progress."""


@dataclass
class Draft:
    """A section in the making, with the bytes of its files."""

    kind: str
    title: str
    text: list[str] = field(default_factory=list)
    pictures: list[ExplainedPicture] = field(default_factory=list)
    tables: list[ExplainedTable] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    most_bytes: int = MOST_BYTES  # of a picture in all its colors

    def add(self, name: str, picture: Picture, title: str, caption: str = "") -> None:
        """Add a picture under a file name without its ending."""
        safe = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in f"{self.kind}-{name}")
        height, width = picture.shape[:2]
        self.files[f"{safe}.png"] = pictures.png(picture, self.most_bytes)
        self.pictures.append(
            ExplainedPicture(file=f"{safe}.png", title=title, caption=caption, width=width, height=height)
        )

    def table(self, title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self.tables.append(ExplainedTable(title=title, head=tuple(head), rows=tuple(tuple(row) for row in rows)))

    def section(self) -> ExplainedSection:
        return ExplainedSection(
            kind=self.kind,
            title=self.title,
            text=tuple(self.text),
            pictures=tuple(self.pictures),
            tables=tuple(self.tables),
        )


def tile_side(subject: Subject) -> int:
    """The side of a tile in pixels: photographs need more than icons."""
    return 64 if max(subject.images.input_shape[1:]) <= 64 else 112


def filters_section(subject: Subject, request: Request, progress: Progress = silent) -> Draft:
    """The kernels of the first convolution before and after training; of a deeper layer, by input channel."""
    draft = Draft("filters", "Filters")
    for layer in request.layers or ("",):
        after = filters(subject.network, layer)
        before = filters(subject.untrained, after.node) if subject.untrained else None
        count, channels, *sides = after.kernels.shape
        sheets = [
            pictures.titled(_kernel_sheet(each.kernels), title)
            for title, each in (("before training", before), ("after training", after))
            if each
        ]
        shown = f"the first {MOST_TILES} of " if channels in (1, 3) and count > MOST_TILES else ""
        what = (
            "in color" if channels == 3 else "in one channel" if channels == 1 else "by input channel, a row for each"
        )
        caption = (
            f"{'x'.join(map(str, sides))} kernels, {what}; each is scaled by its own largest weight, "
            f"{'and gray' if channels == 3 else 'and white'} is 0."
        )
        draft.add(
            after.node, pictures.beside(sheets), f"{shown}the {count} kernels of {after.node}".capitalize(), caption
        )
        draft.text.append(_norm_sentence(after, before))
        if after.twins:
            rows = [(f"{first} and {second}", f"{cosine:+.3f}") for first, second, cosine in after.twins[:20]]
            draft.table(f"Near-twins in {after.node}", ("kernels", "cosine"), rows)
        progress(1.0)
    return draft


def _norm_sentence(after: Filters, before: Filters | None) -> str:
    low, median, high = np.quantile(after.norms, (0, 0.5, 1))
    text = f"{after.node}: norms of the kernels from {low:.3g} to {high:.3g}, median {median:.3g}"
    if before is not None:
        was = np.quantile(before.norms, (0, 0.5, 1))
        text += f" (before training {was[0]:.3g} to {was[2]:.3g}, median {was[1]:.3g})"
    twins = len(after.twins)
    pairs = (
        "no two kernels are"
        if not twins
        else f"{twins} pair{'s' * (twins > 1)} of kernels {'are' if twins > 1 else 'is'}"
    )
    return f"{text}; {pairs} alike or opposite (cosine {TWIN_COSINE} or more, either sign)."


def _kernel_sheet(kernels: np.ndarray) -> Picture:
    """A tile for each kernel of one or three channels; else a row of input channels for each of the first kernels."""
    _, channels, height, width = kernels.shape
    side = 10 * max(height, width) if max(height, width) <= 5 else 48
    if channels in (1, 3):
        tiles = [pictures.sized(pictures.signed_color(kernel), side) for kernel in kernels[:MOST_TILES]]
        return pictures.grid(tiles, COLUMNS)
    rows = [[pictures.sized(pictures.signed(part), 24) for part in kernel[:16]] for kernel in kernels[:COLUMNS]]
    return pictures.grid([tile for row in rows for tile in row], min(channels, 16))


def maps_section(subject: Subject, request: Request, progress: Progress = silent) -> Draft:
    """The maps of a few images after a few layers, gray and colored, and the units that are never on."""
    draft = Draft("maps", "Feature maps")
    network, images = subject.network, chosen_images(subject, request)
    layers = chosen_layers(network, request)
    side = tile_side(subject)
    for index, which in enumerate(images):
        pixels, picture, title = subject.image(which)
        for layer in layers:
            found = feature_maps(network, pixels, layer)
            channels, *sides = found.maps.shape
            tiles = found.maps[:MOST_TILES]
            sheets = [
                pictures.grid([pictures.sized(color(tile), side // 2) for tile in tiles], COLUMNS)
                for color in (pictures.gray, pictures.heat)
            ]
            original = pictures.sized(pictures.rgba(picture), side * 2)
            shown = f"the first {MOST_TILES} of {channels}" if channels > MOST_TILES else f"all {channels}"
            caption = (
                f"{shown.capitalize()} maps of {'x'.join(map(str, sides))}, each from its own lowest value (black, violet) to its highest; "
                f"all together {found.lowest.min():.3g} to {found.highest.max():.3g}, {100 * found.zeros.mean():.0f} % zeros."
            )
            draft.add(
                f"{layer}-{index + 1}",
                pictures.beside([original, *sheets]),
                f"{title} after {layer}".capitalize(),
                caption,
            )
            if index == 0:
                rows = [
                    (str(c), f"{found.lowest[c]:.3g}", f"{found.highest[c]:.3g}", f"{100 * found.zeros[c]:.0f} %")
                    for c in range(len(tiles))
                ]
                draft.table(f"Maps of {title} after {layer}", ("map", "lowest", "highest", "zeros"), rows)
        progress((index + 1) / (len(images) + 1))
    sample = subject.images.first(request.limit or 1000)
    for layer, dead in dead_units(network, sample, layers).items():
        names = ", ".join(map(str, dead[:40])) + (", ..." if len(dead) > 40 else "")
        units = "unit is" if len(dead) == 1 else "units are"
        all_units = network.unit_node(layer).output_shape[0]
        draft.text.append(
            f"{layer}: {len(dead)} of {all_units} {units} dead, never above 0 before the activation in {sample.title}: {names}."
            if dead
            else f"{layer}: no unit is dead; each of the {all_units} is above 0 before the activation somewhere in {sample.title}."
        )
    return draft
