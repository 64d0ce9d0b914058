"""Milliseconds of 3x3 convolutions in float32, forward and backward, shape by shape and in whole networks: Winograd or direct.

    python benchmarks/convolution_speed.py [--rounds 3] [--threads 1]

Both take turns in one process, on the same channels-last tensors. The ratio is of the medians; `rule` is what
`striate.nets.pytorch.winograd.fastest_tile` chooses. Set ATEN_CPU_CAPABILITY=avx2 and ONEDNN_MAX_CPU_ISA=AVX2 to see how a processor
without AVX-512 compares.
"""

import statistics
import time
from collections.abc import Callable

import common

# Channels, filters, side of the map, images.
SHAPES = (
    (16, 16, 32, 128),
    (32, 32, 16, 128),
    (64, 64, 8, 128),
    (64, 64, 16, 128),
    (64, 128, 16, 128),
    (128, 128, 16, 128),
    (128, 256, 8, 128),
    (256, 256, 8, 128),
    (256, 512, 4, 128),
    (512, 512, 4, 128),
    (512, 512, 8, 128),
)
NETWORKS = ("report-d", "report-b", "vgg11", "resnet20")
BATCH = 128


def medians(steps: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each step in each round, after one round to warm up."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 1):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            if number:
                times[name].append(1000 * (time.perf_counter() - started))
    return times


def shape_row(channels: int, filters: int, side: int, images: int, rounds: int) -> list[str]:
    import torch
    from torch.nn import functional

    from striate.nets.pytorch.winograd import fastest_tile, winograd_conv2d

    def tensor(*shape: int) -> torch.Tensor:
        return torch.randn(shape).contiguous(memory_format=torch.channels_last)

    x, weight = tensor(images, channels, side, side).requires_grad_(), tensor(filters, channels, 3, 3).requires_grad_()
    g = tensor(images, filters, side, side)
    tile = fastest_tile(channels, filters, images, side, side)
    times = medians(
        {
            "direct": lambda: torch.autograd.grad(functional.conv2d(x, weight, padding=1), (x, weight), g),
            "winograd": lambda: torch.autograd.grad(
                winograd_conv2d(x, weight, None, (1, 1), tile or 4), (x, weight), g
            ),
        },
        rounds,
    )
    rule = f"tiles of {tile}x{tile}" if tile else "direct"
    return [f"{channels} -> {filters} at {side}x{side}, {images} images", *cells(times), rule]


def network_row(name: str, rounds: int) -> list[str]:
    import torch
    from torch.nn import functional

    from striate.nets import NetworkConfig
    from striate.nets.pytorch.build import build
    from striate.nets.pytorch.winograd import use_winograd

    images, labels = torch.randn(BATCH, 3, 32, 32), torch.randint(0, 10, (BATCH,))
    images = images.contiguous(memory_format=torch.channels_last)

    def training_step(uses_winograd: bool) -> Callable[[], object]:
        network = NetworkConfig(layers=name, **({"norm": "batch"} if name.startswith("report") else {}))
        module = build(network, (3, 32, 32), 10, seed=0).to(memory_format=torch.channels_last).train()
        if uses_winograd:
            use_winograd(module)
        optimizer = torch.optim.Adam(module.parameters(), fused=True)

        def step() -> None:
            optimizer.zero_grad()
            functional.cross_entropy(module(images), labels).backward()
            optimizer.step()

        return step

    times = medians({"direct": training_step(False), "winograd": training_step(True)}, rounds)
    return [f"a step of {name}, {BATCH} images", *cells(times), ""]


def cells(times: dict[str, list[float]]) -> list[str]:
    direct, winograd = times["direct"], times["winograd"]
    ratio = statistics.median(direct) / statistics.median(winograd)
    return [common.spread(direct), common.spread(winograd), f"{ratio:.2f}"]


def main() -> None:
    parser = common.argument_parser(__doc__, data=False)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    print(common.describe_machine())
    print(
        f"{arguments.threads} thread(s), {torch.backends.cpu.get_cpu_capability()}, {arguments.rounds} rounds; median (least to most), ms"
    )
    rows = [shape_row(*shape, arguments.rounds) for shape in SHAPES]
    rows += [network_row(name, arguments.rounds) for name in NETWORKS]
    common.print_table(["what", "direct", "winograd", "times as fast", "rule"], rows)


if __name__ == "__main__":
    main()
