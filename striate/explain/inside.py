"""What a study's page shows of a network: few and small pictures, chosen by the same rule for every network.

Three layers (the first convolution, the middle one and the last), three images (the first of the first, the middle and the last class),
and in each layer three units: those whose strongest images are most, middlingly and least of one class.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from striate.core.errors import NetworkError
from striate.explain import pictures
from striate.explain.images import ImageSet
from striate.explain.maps import feature_maps
from striate.explain.patch_sections import METHODS_IN_WORDS, attribution_strip, attributions, patch_strip
from striate.explain.patches import Excitement, Patch, excitements, patches, verify
from striate.explain.pictures import Picture
from striate.explain.request import Request, chosen_images, chosen_layers
from striate.explain.run import Subject
from striate.explain.score import scores
from striate.explain.sections import Draft, Progress, filters_section, silent
from striate.explain.twin import compare

SIDE = 64  # pixels of a tile
SHOWN = 6  # patches of a unit
MAPS = 8  # of a layer
PREDICTABILITY = (
    "Predictability: the share of pairs of other images of which the patches tell, by their pixels or by what the first layer makes of "
    "them, which excites the unit more. 0.50 is chance: such patches look meaningful and are not."
)
MOST_BYTES = 24_000  # of a picture in all its colors; a larger one has 256


def inside_drafts(subject: Subject, limit: int | None = None, progress: Progress = silent) -> list[Draft]:
    """Filters, maps and patches; one that the network does not allow says why. `limit`: search patches in so many images only."""
    filters, maps, strips = (
        Draft(kind, title, most_bytes=MOST_BYTES)
        for kind, title in (("filters", "Filters"), ("maps", "Feature maps"), ("patches", "Patches and attribution"))
    )
    try:
        _filters(filters, subject)
    except NetworkError as error:
        filters.text = [f"Left out: {error}."]
    try:
        layers = _layers(subject, limit, progress)
        _maps(maps, subject, layers)
        _patches(strips, subject, layers, progress)
    except NetworkError as error:
        for draft in (maps, strips):
            draft.text, draft.pictures, draft.files = [f"Left out: {error}."], [], {}
    progress(1.0)
    return [filters, maps, strips]


@dataclass(frozen=True)
class _Layer:
    name: str
    images: ImageSet
    excitement: Excitement
    units: tuple[int, ...]


def _layers(subject: Subject, limit: int | None, progress: Progress) -> list[_Layer]:
    network, images = subject.network, subject.images
    names = chosen_layers(network, Request())
    images = images.first(limit or len(images))
    found = excitements(network, images, names, shown=SHOWN, progress=lambda share: progress(0.5 * share))
    return [_Layer(name, images, each, each.typical_channels()) for name, each in zip(names, found, strict=True)]


def _filters(draft: Draft, subject: Subject) -> None:
    made = filters_section(subject, Request())
    draft.text, draft.pictures, draft.files = made.text, made.pictures, made.files


def _maps(draft: Draft, subject: Subject, layers: Sequence[_Layer]) -> None:
    images = [subject.image(which) for which in chosen_images(subject, Request())]
    draft.text.append(f"The images, one a row: {'; '.join(title for *_, title in images)}.")
    for layer in layers:
        found = [feature_maps(subject.network, pixels, layer.name) for pixels, *_ in images]
        channels = _shown_maps(np.stack([one.highest for one in found]).max(0), layer.units)
        rows = [
            pictures.grid(
                [
                    pictures.sized(pictures.rgba(picture), SIDE),
                    *(pictures.sized(pictures.heat(one.maps[channel]), SIDE) for channel in channels),
                ],
                1 + len(channels),
                ["image", *map(str, channels)] if row == len(images) - 1 else (),
            )
            for row, ((_, picture, _), one) in enumerate(zip(images, found, strict=True))
        ]
        sides = "x".join(map(str, found[0].maps.shape[1:]))
        draft.add(
            layer.name,
            pictures.stack(rows, pictures.GAP),
            f"Maps of {len(images)} images after {layer.name}",
            f"{sides}, each from its own lowest value (violet) to its highest (yellow): {_units_in_words(layer.units)} and the "
            f"{len(channels) - len(layer.units)} other units with the highest values here, of {len(found[0].maps)}. "
            f"{100 * np.mean([one.zeros.mean() for one in found]):.0f} % of all values are 0.",
        )


def _shown_maps(highest: np.ndarray, units: Sequence[int]) -> list[int]:
    """The units whose patches are shown, and those with the highest values."""
    order = [int(channel) for channel in np.argsort(-highest, kind="stable") if channel not in units]
    return [*units, *order[: MAPS - len(units)]]


def _units_in_words(units: Sequence[int]) -> str:
    return f"unit {units[0]}" if len(units) == 1 else f"units {', '.join(map(str, units[:-1]))} and {units[-1]}"


def _patches(draft: Draft, subject: Subject, layers: Sequence[_Layer], progress: Progress) -> None:
    reproduced = shown = 0
    is_scored = len(layers[0].images) > 4 * SHOWN  # with fewer images there are no others to predict
    for index, layer in enumerate(layers):
        sentences = _scores(subject, layer) if is_scored else {}
        for channel in layer.units:
            strip = patches(subject.network, layer.images, layer.excitement.node, layer.excitement.strongest, channel)
            check = verify(subject.network, layer.images, layer.excitement.node, strip)
            reproduced, shown = reproduced + check.reproduced, shown + check.patches
            _unit(draft, subject, layer, strip, sentences.get(channel, ""))
        progress(0.5 + 0.5 * (index + 1) / len(layers))
    draft.text += [
        f"{layers[0].excitement.images_seen:,} images ({layers[0].images.title}), for each unit the {SHOWN} patches that excite it most, "
        "one an image, cut by its receptive field; hatched is padding. The units: in each layer those with the highest, the median and the "
        "lowest share of one class among their 100 strongest images. Values are those before the activation.",
        "Below each patch is the attribution of the unit's value to its pixels, and the same for a twin of the network with random "
        "weights: a rank correlation (r) near 1 says that the picture does not depend on what was learned.",
        *([PREDICTABILITY] if is_scored else []),
        f"Run again with noise outside their boxes, {reproduced} of {shown} patches give the stated value at the stated place.",
    ]


def _scores(subject: Subject, layer: _Layer) -> dict[int, str]:
    found = scores(subject.network, layer.images, layer.excitement, layer.units)
    return {
        each.channel: f"Predictability {each.by_pixels:.2f} by pixels, {each.by_first_layer:.2f} by the first layer."
        for each in found
    }


def _unit(draft: Draft, subject: Subject, layer: _Layer, strip: Sequence[Patch], score: str) -> None:
    node, channel = layer.excitement.node, strip[0].unit[0]
    method, trained = attributions(subject.network, layer.images, strip)
    _, random = attributions(subject.twin, layer.images, strip, method)
    correlation = np.mean(
        [
            compare(*(_in_box(array, one) for array in pair)).correlation
            for one, *pair in zip(strip, trained, random, strict=True)
        ]
    )
    rows: list[Picture] = [
        patch_strip(strip, SIDE),
        pictures.titled(attribution_strip(subject.network, strip, trained, SIDE), METHODS_IN_WORDS[method]),
        pictures.titled(
            attribution_strip(subject.network, strip, random, SIDE),
            f"the same with random weights, r {correlation:.2f}",
        ),
    ]
    counts = layer.excitement.classes[channel]
    names = subject.images.classes
    top = ", ".join(
        f"{names[label]} {counts[label]}" for label in np.argsort(-counts, kind="stable")[:3] if counts[label]
    )
    height, width = strip[0].pixels.shape[:2]
    draft.add(
        f"{node}-{channel}",
        pictures.stack(rows),
        f"What excites unit {channel} of {layer.name}",
        f"Receptive field {height}x{width}. Classes of the {counts.sum()} strongest images: {top}. {score}".rstrip(),
    )


def _in_box(array: np.ndarray, patch: Patch) -> np.ndarray:
    (top, bottom), (left, right) = patch.box
    return array[:, top:bottom, left:right]
