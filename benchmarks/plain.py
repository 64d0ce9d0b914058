"""The loop that a user would write: a torchvision dataset with its transforms, a DataLoader, torch's own optimizer."""

import contextlib
from dataclasses import dataclass
from typing import Any

from common import Stopwatch
from networks import Case, torch_module


@dataclass
class Images:
    """What every contender gets: the same pictures, split the same way."""

    train: Any
    validation: Any
    test: Any
    mean: list[float]
    std: list[float]
    channels: int


def load_images(case: Case, config: dict[str, Any]) -> Images:
    from striate.data import DataConfig, load, mean_std, split

    dataset = load(DataConfig(source=config["data"], limit=config["limit"], channels=case.channels))
    parts = split(dataset, 0.1, config["seed"])
    mean, std = mean_std(dataset.train.images, parts.train)
    test = dataset.open_test("the benchmark's end")
    return Images(parts.part("train"), parts.part("validation"), test, mean.tolist(), std.tolist(), case.channels)


def picture(array: Any) -> Any:
    """As torchvision's CIFAR10 makes it of its array."""
    from PIL import Image

    return Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)


def torch_dataset(part: Any, images: Images, augment: bool) -> Any:
    from torchvision import transforms
    from torchvision.datasets import VisionDataset

    class Pictures(VisionDataset):
        def __init__(self) -> None:
            drawn = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()] if augment else []
            fixed = [transforms.ToTensor(), transforms.Normalize(images.mean, images.std)]
            super().__init__(root="", transform=transforms.Compose([*drawn, *fixed]))

        def __len__(self) -> int:
            return len(part)

        def __getitem__(self, index: int) -> tuple[Any, int]:
            return self.transform(picture(part.images[index])), int(part.labels[index])

    return Pictures()


def torch_optimizer(case: Case, parameters: Any) -> Any:
    import torch

    name, arguments = case.optimizer
    return getattr(torch.optim, name)(parameters, **arguments)


@contextlib.contextmanager
def watching_bf16(module: Any, is_asked: bool) -> Any:
    """Whether convolutions compute in bf16 where that is asked for: a switch that does nothing must not be timed as one."""
    import torch

    first = next(layer for layer in module.modules() if isinstance(layer, torch.nn.Conv2d))
    seen: list[torch.dtype] = []
    hook = first.register_forward_hook(lambda _layer, _inputs, output: (seen.append(output.dtype), hook.remove())[1])
    yield
    if is_asked and seen and seen[0] != torch.bfloat16:
        raise RuntimeError(f"its bf16 switch had no effect here: the convolutions compute in {seen[0]}")


def accuracy(module: Any, part: Any, images: Images, autocast: Any) -> float:
    import torch
    from torch.utils.data import DataLoader

    module.eval()
    device = next(module.parameters()).device
    with torch.inference_mode(), autocast():
        loader = DataLoader(torch_dataset(part, images, augment=False), 500)
        right = sum(int((module(x.to(device)).argmax(1) == y.to(device)).sum()) for x, y in loader)
    return right / len(part)


def train_plain(case: Case, config: dict[str, Any], workers: int, bf16: bool, watch: Stopwatch | None) -> float | None:
    """The loop over `config["epochs"]`, or until `watch` has enough. Without a watch it looks at validation after each
    epoch and at the test part in the end, and returns that accuracy."""
    import torch
    from torch.nn import functional
    from torch.utils.data import DataLoader

    device = "cuda" if torch.cuda.is_available() else "cpu"
    images = load_images(case, config)
    torch.manual_seed(config["seed"])
    module = torch_module(case.steps, case.channels).to(device)
    optimizer = torch_optimizer(case, module.parameters())
    loader = DataLoader(
        torch_dataset(images.train, images, case.augment), case.batch_size, shuffle=True, num_workers=workers
    )

    def autocast() -> Any:
        return torch.autocast(device, torch.bfloat16, enabled=bf16)

    if watch:
        watch.begin()
    with watching_bf16(module, bf16):
        for _ in range(config["epochs"]):
            module.train()
            for x, y in loader:
                with autocast():
                    loss = functional.cross_entropy(module(x.to(device)), y.to(device))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                if watch and watch.step(len(y)):
                    return None
            if watch is None or watch.target is not None:
                seen = accuracy(module, images.validation, images, autocast)
                if watch and watch.validated(seen):
                    return None
    return None if watch else accuracy(module, images.test, images, autocast)
