"""Milliseconds of 3x3 convolutions from scratch in NumPy, forward and backward, shape by shape: by patches, and by tiles of 2, 3 and 4.

    python benchmarks/scratch_convolution_speed.py [--rounds 5]

All take turns in one process, on one thread. `rule` is what `striate.engines.scratch.optimized.winograd.tile_for` chooses, and what
that costs above the fastest. Set OPENBLAS_CORETYPE=Haswell and NPY_DISABLE_CPU_FEATURES="X86_V4 AVX512_ICL AVX512_SPR" to see how
a processor without AVX-512 compares.
"""

import statistics
import time
from typing import Any

import common

# Channels, filters, side of the map, images.
SHAPES = (
    (3, 64, 32, 64),
    (8, 8, 32, 64),
    (16, 16, 32, 64),
    (32, 32, 16, 64),
    (64, 64, 16, 64),
    (64, 128, 16, 64),
    (128, 256, 8, 64),
    (256, 256, 8, 64),
    (512, 512, 4, 64),
    (512, 512, 2, 64),
    (512, 512, 2, 16),
    (256, 256, 3, 64),
    (128, 128, 5, 64),
    (128, 128, 6, 64),
    (128, 128, 7, 64),
    (64, 64, 9, 64),
    (64, 64, 10, 64),
    (256, 256, 8, 8),
    (256, 256, 8, 2),
    (64, 64, 8, 4),
    (16, 16, 8, 16),
)
PATCHES = 0  # the size of tile that stands for none


def row(channels: int, filters: int, side: int, images: int, rounds: int) -> list[str]:
    from striate.engines.scratch.optimized import winograd

    layer, x, g = _layer(channels, filters, side, images)
    chosen = winograd.tile_for(layer.window, (side, side), images, channels, filters)
    ways = (PATCHES, *winograd.TILES)
    buffers: dict[int, dict[Any, Any]] = {m: {} for m in ways}
    times: dict[int, list[float]] = {m: [] for m in ways}
    rule = winograd.tile_for
    try:
        for number in range(rounds + 1):
            for m in ways:
                winograd.tile_for = lambda *_, m=m: m  # type: ignore[assignment]
                milliseconds = _trip(layer, x, g, buffers[m])
                if number:
                    times[m].append(milliseconds)
    finally:
        winograd.tile_for = rule
    medians = {m: statistics.median(times[m]) for m in ways}
    above = 100 * (medians[chosen] / min(medians.values()) - 1)
    name = f"tiles of {chosen}" if chosen else "patches"
    cells = [common.spread(times[m], 2) for m in ways]
    return [f"{channels} -> {filters} at {side}x{side}, {images} images", *cells, f"{name}, +{above:.0f} %"]


def _layer(channels: int, filters: int, side: int, images: int) -> tuple[Any, Any, Any]:
    """A layer, its input and the gradient of its output."""
    import numpy as np

    from striate.engines.scratch.ops.windows import Window
    from striate.engines.scratch.optimized.convolution import Convolution
    from striate.engines.scratch.optimized.maps import images_first

    rng = np.random.default_rng(0)
    layer = Convolution("conv", Window((3, 3), pads=((1, 1), (1, 1))), 1)
    layer.parameters = {
        "weight": rng.standard_normal((3, 3, channels, filters)).astype("float32"),
        "bias": np.zeros(filters, "float32"),
    }
    maps = (rng.standard_normal((side, side, images, count)).astype("float32") for count in (channels, filters))
    return layer, *map(images_first, maps)


def _trip(layer: Any, x: Any, g: Any, buffers: dict[Any, Any]) -> float:
    """Milliseconds, forward and backward."""
    from striate.engines.scratch.context import ForwardContext
    from striate.engines.scratch.threads import ThreadTeam

    context = ForwardContext(ThreadTeam(), len(x), is_training=True, buffers=buffers)
    started = time.perf_counter()
    layer.forward(x, context)
    layer.backward(g, context)
    return 1000 * (time.perf_counter() - started)


def main() -> None:
    arguments = common.argument_parser(__doc__, data=False).parse_args()
    import threadpoolctl

    print(common.describe_machine())
    print(f"one thread, {arguments.rounds} rounds; median (least to most), ms")
    with threadpoolctl.threadpool_limits(1):
        rows = [row(*shape, arguments.rounds) for shape in SHAPES]
    common.print_table(["what", "patches", "tiles of 2", "tiles of 3", "tiles of 4", "rule"], rows)


if __name__ == "__main__":
    main()
