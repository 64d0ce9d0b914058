"""The section of attribution: every method beside the image, and below it the same with random weights."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from striate.core.errors import NetworkError
from striate.explain import pictures
from striate.explain.attribution import Attribution, Method, Options, Target, attribute, upsampled
from striate.explain.pictures import Picture
from striate.explain.request import Request, chosen_images, chosen_layers, chosen_unit
from striate.explain.run import Subject
from striate.explain.sections import Draft, Progress, silent, tile_side
from striate.explain.twin import Comparison, compare

COLUMNS = ("picture", "method", "rank correlation", "complexity", "with random weights", "rise", "what it means")
LEGEND = (
    "Gradient, guided backpropagation, deconvnet and guided Grad-CAM are in colors around gray, which is 0; integrated gradients (the sum "
    "of the channels) and occlusion from blue (against) over white (0) to orange (for); Grad-CAM is laid over the image. Each picture has "
    "its own scale."
)


def attribution_section(subject: Subject, request: Request, progress: Progress = silent) -> Draft:
    """For a few images: what the predicted class depends on, the middle layer, and the most excited unit of that layer."""
    draft = Draft("attribution", "Attribution")
    images = chosen_images(subject, request)
    rows: list[tuple[str, ...]] = []
    refused: dict[str, str] = {}
    for index, which in enumerate(images):
        pixels, picture, title = subject.image(which)
        _class(draft, subject, request, (which, pixels, picture, title), rows, refused)
        try:
            _layer(draft, subject, request, (which, pixels, picture, title), rows, refused)
        except NetworkError as error:
            if request.layers or request.units:
                raise
            refused.setdefault("a layer", str(error))
        progress((index + 1) / len(images))
    draft.text.append(LEGEND)
    draft.text.append(
        "Below each picture is the same for a twin of the network with random weights. A high rank correlation between both says that the "
        "picture does not depend on what was learned; complexity is the entropy of the picture's histogram, in bits."
    )
    draft.text += [f"{method} is left out: {reason}." for method, reason in refused.items()]
    draft.table("Pictures beside those of random weights", COLUMNS, rows)
    return draft


BELOW = "Below: the same with random weights (r: rank correlation)."
Shown = tuple[str, Tensor, np.ndarray, str]  # what was asked for, the image for the network, the picture, its title


def _class(
    draft: Draft, subject: Subject, request: Request, shown: Shown, rows: list[tuple[str, ...]], refused: dict[str, str]
) -> None:
    which, pixels, picture, title = shown
    network = subject.network
    logits = network.values(pixels[None], [network.graph.output])[network.graph.output][0].float()
    if not bool(logits.isfinite().all()):
        raise NetworkError(
            f"{title}: the network gives values that are not finite numbers for it, which nothing explains"
        )
    classes = subject.images.classes
    label = classes.index(request.class_name) if request.class_name else int(logits.argmax())
    target = Target(unit=(label,))
    tiles, twins, labels = _both(
        subject, pixels, picture, target, request.methods, f"{title}, class {classes[label]}", rows, refused
    )
    said = classes[int(logits.argmax())]
    draft.add(
        f"class-{_file(which)}",
        _sheet(subject, picture, tiles, twins, labels),
        f"Which pixels the class {classes[label]} depends on, in {title}",
        f"The network calls it {said}. Target: the logit of {classes[label]}, {logits[label]:.2f}. {BELOW}",
    )


def _layer(
    draft: Draft, subject: Subject, request: Request, shown: Shown, rows: list[tuple[str, ...]], refused: dict[str, str]
) -> None:
    """Guided backpropagation of a whole layer, and of its most excited unit."""
    which, pixels, picture, title = shown
    network = subject.network
    layers = chosen_layers(network, request)
    layer = layers[0] if request.layers else layers[len(layers) // 2]
    node = network.output_node(layer).name
    before = network.unit_node(layer).name  # where a unit that is off has a gradient too
    value = network.values(pixels[None], [before])[before][0].cpu().numpy()
    unit = chosen_unit(value, layer, request)
    method: Method = "guided" if "guided" not in refused else "gradient"
    tiles: list[Picture] = []
    twins: list[Picture] = []
    upper: list[str] = []
    lower: list[str] = []
    for target, name in (
        (Target(layer=node), f"all of {layer}"),
        (Target(layer=before, unit=unit), f"unit {', '.join(map(str, unit))}"),
    ):
        part = _both(subject, pixels, picture, target, (method,), f"{title}, {name}", rows, refused)
        tiles, twins = tiles + part[0], twins + part[1]
        if part[2]:
            upper, lower = [*upper, name], [*lower, part[2][1]]
    if not tiles:
        return
    box = network.fields.box(before, unit)
    most = "" if request.units else "most excited "
    first = "Guided backpropagation" if method == "guided" else "Gradient"
    place = ", ".join(map(str, unit))
    draft.add(
        f"{layer}-{_file(which)}",
        _sheet(subject, picture, tiles, twins, [*upper, *lower], box),
        f"{first} from {layer} and from its unit {place}, for {title}",
        f"Targets: the sum of {node}, and the {most}unit of {before} ({value[unit]:.3g}), whose receptive field is framed. "
        f"{BELOW}",
    )


def _both(
    subject: Subject,
    pixels: Tensor,
    picture: np.ndarray,
    target: Target,
    methods: Sequence[Method],
    title: str,
    rows: list[tuple[str, ...]],
    refused: dict[str, str],
) -> tuple[list[Picture], list[Picture], list[str]]:
    """Tiles of the trained network and of its twin, and the labels of both; a row for each method."""
    tiles, twins, above, below = [], [], [], []
    for method in methods:
        options = Options(window=max(2, pixels.shape[1] // 4), stride=max(1, pixels.shape[1] // 8))
        try:
            trained = attribute(subject.network, pixels, target, method, options)
            random = attribute(subject.twin, pixels, target, method, options)
        except NetworkError as error:
            refused.setdefault(method, str(error))
            continue
        parts = [_in_field(subject, target, found) for found in (trained, random)]
        comparison = compare(*parts)
        tiles.append(_tile(trained, picture))
        twins.append(_tile(random, picture))
        above.append(method)
        below.append(f"r {comparison.correlation:.2f}")
        rows.append(_row(title, method, comparison))
    return tiles, twins, [*above, *below]


def _in_field(subject: Subject, target: Target, found: Attribution) -> np.ndarray:
    """Of a unit only what it can depend on: outside, both pictures are 0, which would pass for agreement."""
    fields = subject.network.fields
    if len(target.unit) < 3 or found.array.shape[1:] != subject.images.input_shape[1:]:
        return found.array
    (top, bottom), (left, right) = fields.box(target.layer, target.unit)
    return found.array[:, top:bottom, left:right]


def _row(title: str, method: str, comparison: Comparison) -> tuple[str, ...]:
    numbers = (comparison.correlation, comparison.complexity, comparison.complexity_random)
    return (
        title,
        method,
        *(f"{number:.2f}" for number in numbers),
        f"{100 * comparison.rise:+.0f} %",
        comparison.sentence,
    )


def _tile(found: Attribution, picture: np.ndarray) -> Picture:
    if found.method == "gradcam":
        return pictures.over(pictures.rgba(picture), upsampled(found.array, picture.shape[:2])[0])
    if found.method == "integrated":
        return pictures.signed(found.array.sum(0))
    return pictures.signed(found.array[0]) if found.method == "occlusion" else pictures.signed_color(found.array)


def _sheet(
    subject: Subject,
    picture: np.ndarray,
    tiles: list[Picture],
    twins: list[Picture],
    labels: list[str],
    box: tuple[tuple[int, int], ...] | None = None,
) -> Picture:
    """The image and its tiles, and below them those of the twin."""
    side = tile_side(subject) * 3 // 2
    image = pictures.rgba(picture)
    original = pictures.framed(image, box, side) if box else pictures.sized(image, side)
    count = len(tiles)
    sized = [[pictures.sized(tile, side) for tile in row] for row in (tiles, twins)]
    upper = pictures.grid([original, *sized[0]], count + 1, ["image", *labels[:count]])
    blank = np.zeros_like(original)
    lower = pictures.grid([blank, *sized[1]], count + 1, ["random weights", *labels[count:]])
    return pictures.stack([upper, lower])


def _file(which: str) -> str:
    return which.rsplit("/", 1)[-1]
