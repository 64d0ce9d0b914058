"""The sections of patches and of a unit's arithmetic: strips of what excites a unit, each checked by running it again."""

from collections.abc import Sequence

import numpy as np

from striate.core.errors import NetworkError
from striate.explain import pictures
from striate.explain.arithmetic import Step, unit_arithmetic
from striate.explain.attribution import Method, Target, attribute
from striate.explain.images import ImageSet
from striate.explain.patches import SHOWN, Excitement, Patch, cut, excitements, patches, shown_box, trace_back, verify
from striate.explain.pictures import Picture
from striate.explain.request import Request, chosen_images, chosen_layers, chosen_unit
from striate.explain.run import Subject
from striate.explain.score import scores
from striate.explain.sections import Draft, Progress, silent, tile_side
from striate.explain.traced import TracedNetwork

METHODS_IN_WORDS = {"guided": "guided backpropagation", "gradient": "gradient"}
RANKINGS = {"strongest": "strongest", "weakest": "weakest", "random": "random, above 0"}
# Input channels whose arithmetic is shown.
SHOWN_CHANNELS = 3


def patches_section(subject: Subject, request: Request, progress: Progress = silent) -> Draft:
    """For a few units of a few layers the strongest, the weakest and random patches, with guided backpropagation beside them."""
    draft = Draft("patches", "Patches that excite a unit")
    images = subject.images.of_class(request.class_name) if request.class_name else subject.images
    images = images.first(request.limit or len(images))
    layers = chosen_layers(subject.network, request)
    found = excitements(subject.network, images, layers, progress=lambda share: progress(0.7 * share))
    reproduced = shown = 0
    for index, excitement in enumerate(found):
        units = _units(excitement, request)
        is_scored = not request.class_name and len(images) > 4 * SHOWN
        sentences = (
            [score.sentence for score in scores(subject.network, images, excitement, units)]
            if is_scored
            else [""] * len(units)
        )
        for channel, sentence in zip(units, sentences, strict=True):
            verification = _unit(draft, subject, images, excitement, channel, sentence, request)
            reproduced, shown = reproduced + verification[0], shown + verification[1]
        progress(0.7 + 0.3 * (index + 1) / len(found))
    draft.text.insert(0, _rule(images, found, request))
    draft.text.append(
        f"Each patch was run again where it was, with noise in place of everything outside its box: {reproduced} of {shown} give "
        "the stated value at the stated place (to 1e-5 of the largest)."
    )
    return draft


def _rule(images: ImageSet, found: list[Excitement], request: Request) -> str:
    chosen = "the units asked for"
    if not request.units:
        chosen = (
            "the most excited unit of each layer"
            if request.class_name
            else "in each layer the units of the highest, the median and the lowest selectivity (the largest share that one class has "
            "of the 100 strongest images)"
        )
    return (
        f"{found[0].images_seen:,} images ({images.title}), one patch an image: the position of its highest (lowest) value before the "
        f"activation; random ones are drawn from all positions above 0. A patch is cut by the unit's receptive field; hatched is padding. "
        f"Shown are {chosen}."
    )


def _units(excitement: Excitement, request: Request) -> tuple[int, ...]:
    channels = tuple(dict.fromkeys(unit[0] for unit in request.units))
    if any(channel >= excitement.channels for channel in channels):
        raise NetworkError(
            f"--unit {max(channels)}: layer '{excitement.node}' has the units 0 to {excitement.channels - 1}"
        )
    return channels or ((excitement.most_excited_channel(),) if request.class_name else excitement.typical_channels())


def _unit(
    draft: Draft, subject: Subject, images: ImageSet, excitement: Excitement, channel: int, score: str, request: Request
) -> tuple[int, int]:
    """Add one unit: how many of its patches reproduce, and how many there are."""
    network, node = subject.network, excitement.node
    by_ranking = {name: patches(network, images, node, getattr(excitement, name), channel) for name in RANKINGS}
    rows: list[Picture] = []
    for name, title in RANKINGS.items():
        if strip := by_ranking[name]:
            rows.append(pictures.titled(patch_strip(strip, tile_side(subject)), title))
        if name == "strongest":
            method, arrays = attributions(network, images, strip)
            tiles = attribution_strip(network, strip, arrays, tile_side(subject))
            rows.append(pictures.titled(tiles, f"{METHODS_IN_WORDS[method]} of each"))
    everything = [one for strip in by_ranking.values() for one in strip]
    check = verify(network, images, node, everything)
    first = by_ranking["strongest"][0]
    height, width = first.pixels.shape[:2]
    counts = excitement.classes[channel]
    top = ", ".join(
        f"{images.classes[label]} {counts[label]}" for label in np.argsort(-counts, kind="stable")[:4] if counts[label]
    )
    classes = "" if request.class_name else f" Classes of the {counts.sum()} strongest images: {top}."
    caption = f"Receptive field {height}x{width} ({first.status}).{classes} {check}."
    caption = f"{caption} {score}" if score else caption
    name = f"{node}-{channel}" + (f"-{request.class_name}" if request.class_name else "")
    draft.add(name, pictures.stack(rows), f"What excites unit {channel} of {node}", caption)
    draft.table(
        f"Patches of unit {channel} of {node}",
        ("patch", "value", "image", "class", "position", "rows", "columns"),
        _rows(images, by_ranking),
    )
    if request.class_name:
        _traced(draft, subject, images, node, first)
    return check.reproduced, check.patches


def patch_strip(strip: Sequence[Patch], side: int) -> Picture:
    """Patches side by side, each with its value below it."""
    tiles = [pictures.hatched(one.pixels, one.inside, side) for one in strip]
    return pictures.grid(tiles, len(tiles), [f"{one.value:.3g}" for one in strip])


def attributions(
    network: TracedNetwork, images: ImageSet, strip: Sequence[Patch], method: Method = "guided"
) -> tuple[Method, list[np.ndarray]]:
    """What excites the unit of each patch, over the whole image: guided backpropagation; the gradient, where that is refused."""
    try:
        return method, [
            attribute(
                network, images.normalized(np.array([one.image]))[0], Target(layer=one.node, unit=one.unit), method
            ).array
            for one in strip
        ]
    except NetworkError:
        if method == "gradient":
            raise
        return attributions(network, images, strip, "gradient")


def attribution_strip(
    network: TracedNetwork, strip: Sequence[Patch], arrays: Sequence[np.ndarray], side: int
) -> Picture:
    """Attributions side by side, each cut by the box of its patch."""
    cuts = [
        cut(pictures.signed_color(array), shown_box(network, one.node, one.unit))
        for one, array in zip(strip, arrays, strict=True)
    ]
    return pictures.grid([pictures.hatched(picture, inside, side) for picture, inside in cuts], len(cuts))


def _rows(images: ImageSet, by_ranking: dict[str, list[Patch]]) -> list[tuple[str, ...]]:
    return [
        (
            f"{name} {rank}",
            f"{one.value:.4g}",
            str(one.image),
            images.classes[int(images.labels[one.image])],
            ", ".join(map(str, one.unit[1:])) or "-",
            *(f"{start} to {stop - 1}" if stop > start else "padding" for start, stop in one.box),
        )
        for name, strip in by_ranking.items()
        for rank, one in enumerate(strip, 1)
    ]


def _traced(draft: Draft, subject: Subject, images: ImageSet, node: str, first: Patch) -> None:
    """The most excited unit's image with its box, and the way from the unit back to the image."""
    picture = pictures.rgba(images.images[first.image])
    side = 4 * tile_side(subject)
    tiles = [pictures.framed(picture, first.box, side)]
    tiles.append(pictures.hatched(first.pixels, first.inside, side))
    unit = " ".join(map(str, first.unit))
    draft.add(
        f"{node}-traced",
        pictures.beside(tiles),
        f"The most excited unit of {node} for {images.title}: unit {unit}, value {first.value:.3g}",
        f"Image {first.image} with the box that the unit depends on, and the patch in it.",
    )
    rows = [(node, f"unit {unit}", *(f"{i} to {i}" for i in first.unit[1:]))] if len(first.unit) == 3 else []
    for step in trace_back(subject.network, node, first.unit):
        name = "image" if step.node == "input" else step.node
        rows.append((name, "x".join(map(str, step.sides)), *(f"{start} to {stop - 1}" for start, stop in step.box)))
    draft.table(f"From {node} unit {unit} back to the image", ("map", "size", "rows", "columns"), rows)


def unit_section(subject: Subject, request: Request, progress: Progress = silent) -> Draft:
    """One unit's arithmetic on one image: the windows, the kernels, their products, and what comes after."""
    draft = Draft("unit", "The arithmetic of a unit")
    network = subject.network
    layers = chosen_layers(network, request)
    layers = layers if request.layers else layers[:2]
    pixels, _, title = subject.image(chosen_images(subject, request)[0])
    for index, layer in enumerate(layers):
        unit = _strongest_unit(subject, layer, pixels, request)
        steps = unit_arithmetic(network, pixels, layer, unit)
        worst = max(step.difference for step in steps)
        draft.text.append(
            f"{layer} unit {' '.join(map(str, unit))} on {title}: {steps[-1].value:.6g}; recomputed in float64 step by step, "
            f"{steps[-1].recomputed:.6g} (largest difference {worst:.0e})."
        )
        draft.table(
            f"{layer} unit {' '.join(map(str, unit))}, step by step", ("step", "calculation", "the network's value"),
            [(step.node, step.text, f"{step.value:.6g}") for step in steps],
        )  # fmt: skip
        for step in steps:
            if step.kernel.size and step.kernel.ndim == 3:
                _windows(draft, layer, step)
        progress((index + 1) / len(layers))
    return draft


def _strongest_unit(subject: Subject, layer: str, pixels: object, request: Request) -> tuple[int, ...]:
    """The unit asked for; a channel alone, or none, means the strongest position of it, or of all."""
    node = subject.network.unit_node(layer)
    value = subject.network.values(pixels[None], [node.name])[node.name][0].cpu().numpy()  # type: ignore[index]
    return chosen_unit(value, layer, request)


def _windows(draft: Draft, layer: str, step: Step) -> None:
    """The input channels that contribute most: window, kernel and products as colors and numbers."""
    sums = step.products.sum((1, 2))
    order = np.argsort(-np.abs(sums), kind="stable")[:SHOWN_CHANNELS]
    rows: list[Picture] = []
    for channel in order:
        parts = (step.window[channel], step.kernel[channel], step.products[channel])
        tiles = [pictures.hatched(pictures.signed(part), step.inside, 96) for part in parts]
        rows.append(pictures.titled(pictures.grid(tiles, 3), f"channel {step.channels[channel]}: {sums[channel]:+.4g}"))
    others = len(sums) - len(order)
    rest = f" The other {others} channels add {sums.sum() - sums[order].sum():+.4g}." if others else ""
    draft.add(
        f"{layer}-{'-'.join(map(str, step.unit))}",
        pictures.beside(rows),
        f"The input channels that contribute most to {step.node} unit {' '.join(map(str, step.unit))}",
        f"Window, kernel and products of each, in the colors from blue (negative) over white (0) to orange.{rest}",
    )
    table = [
        (
            f"channel {step.channels[channel]}",
            *(_matrix(part[channel]) for part in (step.window, step.kernel, step.products)),
            f"{sums[channel]:+.4g}",
        )
        for channel in order
    ]
    draft.table(f"Numbers of {step.node}", ("input", "window", "kernel", "products", "sum"), table)


def _matrix(values: np.ndarray) -> str:
    return " / ".join(" ".join(f"{value:.2f}" for value in row) for row in values)
