"""Seconds to find what excites every unit of D1's conv3 over CIFAR-10's test images, and milliseconds of one guided backpropagation.

    python benchmarks/explain.py DATA [--rounds 3] [--images 10000]

"striate": `excitements`, one pass that keeps the strongest, the weakest and random patches of all 256 units and stops behind conv3.
"hooks": the loop that a user would write: torchvision's transforms, a DataLoader with two workers, a forward hook that keeps every
image's highest value and its place, the 9 strongest at the end. "hooks, images ready": the same loop over normalized images in
memory. Float32, random weights (the time does not depend on them), all cores; each in a process of its own, in turns.
"guided" is one image's guided backpropagation for one unit of conv3, the median of 30 calls after the first.
"""

import json
import os
import statistics
import sys
import time
from typing import Any

import common

LAYER, SHOWN, CALLS = "conv3", 9, 30
CONTENDERS = ("striate", "hooks", "hooks, images ready")


def images_of(config: dict[str, Any]) -> Any:
    """The first test images, with the statistics of the training images."""
    from striate.data import DataConfig, load, mean_std
    from striate.explain.images import ImageSet

    dataset = load(DataConfig(source=config["data"]))
    part = dataset.open_test("speed is measured on them")
    mean, std = mean_std(dataset.train.images)
    images = ImageSet(images=part.images, labels=part.labels, mean=mean, std=std, classes=tuple(dataset.classes))
    return images.first(config["images"])


def module_of() -> Any:
    from striate.nets import NetworkConfig
    from striate.nets.pytorch.build import build

    return build(NetworkConfig(layers="report-d", norm="batch"), (3, 32, 32), 10, seed=0).eval()


def ours(config: dict[str, Any]) -> dict[str, Any]:
    import torch

    from striate.explain.attribution import Target, attribute
    from striate.explain.patches import excitement
    from striate.explain.traced import TracedNetwork

    images = images_of(config)
    network = TracedNetwork(module_of(), images.input_shape)
    started = time.perf_counter()
    found = excitement(network, images, LAYER, shown=SHOWN)
    seconds = time.perf_counter() - started
    image, target = images.normalized(images.indices[:1])[0], Target(layer=found.node, unit=(5, 3, 3))
    times = []
    for _ in range(CALLS + 1):
        started = time.perf_counter()
        attribute(network, image, target, "guided")
        times.append(time.perf_counter() - started)
    checked = float(torch.from_numpy(found.strongest.values).sum())
    return {"seconds": seconds, "guided_ms": 1000 * statistics.median(times[1:]), "sum": checked}


def hooks(config: dict[str, Any], are_ready: bool) -> dict[str, Any]:
    import torch
    from torch.utils.data import DataLoader, Dataset

    images = images_of(config)
    module = module_of()

    class Pictures(Dataset):  # type: ignore[type-arg]
        def __init__(self) -> None:
            from torchvision import transforms

            self.transform = transforms.Compose(
                [transforms.ToTensor(), transforms.Normalize(images.mean.tolist(), images.std.tolist())]
            )

        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, index: int) -> Any:
            from PIL import Image

            return self.transform(Image.fromarray(images.images[index])).float()

    values, places = [], []

    def keep(_module: Any, _inputs: Any, output: Any) -> None:
        value, place = output.flatten(2).max(2)
        values.append(value)
        places.append(place)

    loader = (
        torch.cat([pixels for _, pixels in images.batches()]).split(250)
        if are_ready
        else DataLoader(Pictures(), 250, num_workers=2)
    )
    started = time.perf_counter()
    handle = module.conv3_norm.register_forward_hook(keep)
    with torch.no_grad():
        for batch in loader:
            module(batch)
    handle.remove()
    top = torch.cat(values).topk(SHOWN, dim=0)
    torch.cat(places).gather(0, top.indices)
    return {"seconds": time.perf_counter() - started, "sum": float(top.values.sum())}


def child(contender: str, config: dict[str, Any]) -> dict[str, Any]:
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    return ours(config) if contender == "striate" else hooks(config, contender != "hooks")


def main() -> None:
    parser = common.argument_parser(__doc__)
    parser.add_argument("--images", type=int, default=10_000, help="so many of the test images")
    arguments = parser.parse_args()
    if arguments.child:
        contender, config = arguments.child
        common.print_results(lambda: child(contender, json.loads(config)))
    config = {"data": arguments.data, "images": arguments.images}
    results: dict[str, list[dict[str, Any]]] = {contender: [] for contender in CONTENDERS}
    for _ in range(arguments.rounds):
        for contender in CONTENDERS:
            result = common.run_in_process(__file__, contender, config)
            print(f"{contender}: {result}", file=sys.stderr, flush=True)
            results[contender].append(result)
    failed = [f"{name}: {run['failed']}" for name, runs in results.items() for run in runs if "failed" in run]
    if failed:
        sys.exit("\n".join(failed))
    print(f"{arguments.images:,} images, {LAYER} of D1, median (lowest to highest) of {arguments.rounds} runs\n")
    rows = []
    for name, runs in results.items():
        ratios = [run["seconds"] / own["seconds"] for run, own in zip(runs, results["striate"], strict=True)]
        memory = common.spread([run["megabytes"] for run in runs])
        rows.append((name, common.spread([run["seconds"] for run in runs], 1), common.spread(ratios, 2), memory))
    common.print_table(("contender", "seconds", "times striate's", "peak memory, MB"), rows)
    print(
        f"\nguided backpropagation of one unit: {common.spread([run['guided_ms'] for run in results['striate']], 1)} ms"
    )
    differences = [abs(run["sum"] / results["striate"][0]["sum"] - 1) for runs in results.values() for run in runs]
    print(
        f"largest difference of the sum of the strongest values: {max(differences):.0e}\n\n{common.describe_machine()}"
    )


if __name__ == "__main__":
    main()
