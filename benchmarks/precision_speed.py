"""Images a second in training, in float32 and in bf16 on a CPU, and what `precision: auto` takes.

    python benchmarks/precision_speed.py [--rounds 3] [--threads 1]

Both take turns in one process, each round of a precision for about two seconds of whole steps (augmentation and optimizer too), on random
images. The ratio is of the medians, its spread that of the rounds. `auto` is the answer of the check and the seconds it took; with
`--rounds 0` nothing else is measured.
"""

import statistics
import time

import common
import networks

CASES = ("D1", "B1", "VGG11", "ResNet20", "A1")
SECONDS = 2.0


def row(name: str, rounds: int, threads: int) -> list[str]:
    import numpy as np

    from striate.data import Dataset, Part
    from striate.engines import select
    from striate.engines.precision import PrecisionQuestion
    from striate.engines.pytorch import precision_check
    from striate.nets import NetworkConfig
    from striate.recipes import Recipe

    case = networks.CASES[name]
    network = NetworkConfig(**case.striate)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (2048, 32, 32, case.channels), np.uint8)
    part = Part(images, rng.integers(0, 10, len(images)))
    dataset = Dataset("noise", tuple("0123456789"), part, None, part, "0" * 64)
    recipes = {
        precision: Recipe.model_validate(
            {
                "optimizer": {"name": case.optimizer[0], **case.optimizer[1]},
                "batch_size": case.batch_size,
                "augment": {"flip": True, "crop": 4} if case.augment else "none",
                "precision": precision,
            }
        )
        for precision in ("float32", "bf16")
    }
    speeds: dict[str, list[float]] = {precision: [] for precision in recipes}
    for _ in range(rounds):
        for precision, recipe in recipes.items():
            speeds[precision].append(select.images_per_second(network, recipe, dataset, "cpu", threads, SECONDS))
    asked = PrecisionQuestion.of(recipes["bf16"], network, dataset, "cpu", threads)
    started = time.perf_counter()
    answer = f"{precision_check.measure(asked).choice()} ({time.perf_counter() - started:.1f} s)"
    if not rounds:
        return [name, "", "", "", answer]
    ratio = statistics.median(speeds["bf16"]) / statistics.median(speeds["float32"])
    ratios = [bf16 / float32 for float32, bf16 in zip(speeds["float32"], speeds["bf16"], strict=True)]
    spread = f"{ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    return [name, common.spread(speeds["float32"]), common.spread(speeds["bf16"]), spread, answer]


def main() -> None:
    parser = common.argument_parser(__doc__, data=False)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    from striate.studies.execute.worker import keep_freed_memory

    keep_freed_memory()  # as where the runs of a study are trained
    rows = [row(name, arguments.rounds, arguments.threads) for name in CASES]
    print(common.describe_machine())
    print(f"{arguments.threads} thread(s), {arguments.rounds} rounds; median (least to most) of images a second")
    common.print_table(["network", "float32", "bf16", "bf16 is times as fast", "auto"], rows)


if __name__ == "__main__":
    main()
