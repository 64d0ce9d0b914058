"""The loop that a user would write: a torchvision dataset with its transforms, a DataLoader, torch's own optimizer."""

import contextlib
from dataclasses import dataclass
from typing import Any

from common import Stopwatch
from networks import Case, torch_module


@dataclass
class Images:
    """The images of every contender, split the same way."""

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
    test = dataset.open_test("the final accuracy of the benchmark")
    return Images(parts.part("train"), parts.part("validation"), test, mean.tolist(), std.tolist(), case.channels)


def pil_image(array: Any) -> Any:
    """A PIL image, as torchvision's CIFAR10 makes it of its array."""
    from PIL import Image

    return Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)


def torch_dataset(part: Any, images: Images, augment: bool) -> Any:
    from torchvision import transforms
    from torchvision.datasets import VisionDataset

    class PartDataset(VisionDataset):
        def __init__(self) -> None:
            random = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()] if augment else []
            fixed = [transforms.ToTensor(), transforms.Normalize(images.mean, images.std)]
            super().__init__(root="", transform=transforms.Compose([*random, *fixed]))

        def __len__(self) -> int:
            return len(part)

        def __getitem__(self, index: int) -> tuple[Any, int]:
            return self.transform(pil_image(part.images[index])), int(part.labels[index])

    return PartDataset()


def torch_optimizer(case: Case, parameters: Any) -> Any:
    import torch

    name, arguments = case.optimizer
    return getattr(torch.optim, name)(parameters, **arguments)


@contextlib.contextmanager
def checking_bf16(module: Any, is_bf16: bool) -> Any:
    """Check that convolutions compute in bf16 if that is asked for, so that a switch without effect is not timed.

    Raises:
        RuntimeError: if they do not.
    """
    import torch

    first = next(layer for layer in module.modules() if isinstance(layer, torch.nn.Conv2d))
    dtypes: list[torch.dtype] = []
    hook = first.register_forward_hook(lambda _layer, _inputs, output: (dtypes.append(output.dtype), hook.remove())[1])
    yield
    if is_bf16 and dtypes and dtypes[0] != torch.bfloat16:
        raise RuntimeError(f"its bf16 switch had no effect here: the convolutions compute in {dtypes[0]}")


def accuracy(module: Any, part: Any, images: Images, autocast: Any) -> float:
    import torch
    from torch.utils.data import DataLoader

    module.eval()
    device = next(module.parameters()).device
    with torch.inference_mode(), autocast():
        loader = DataLoader(torch_dataset(part, images, augment=False), 500)
        correct = sum(int((module(x.to(device)).argmax(1) == y.to(device)).sum()) for x, y in loader)
    return correct / len(part)


def train_plain(case: Case, config: dict[str, Any], workers: int, bf16: bool, watch: Stopwatch | None) -> float | None:
    """Train for `config["epochs"]`, or until `watch` ends it. Without a watch, evaluate on validation after each epoch and on
    the test part at the end, and return the test accuracy."""
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
    with checking_bf16(module, bf16):
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
                validation_accuracy = accuracy(module, images.validation, images, autocast)
                if watch and watch.validated(validation_accuracy):
                    return None
    return None if watch else accuracy(module, images.test, images, autocast)


def train_tuned(case: Case, config: dict[str, Any]) -> float:
    """The fastest loop that we could write by hand for a small network: all images normalized in memory, batches by
    `index_select`, a fused optimizer, freed memory kept. Evaluates as `train_plain` does; returns the test accuracy."""
    import torch
    from torch.nn import functional

    images = load_images(case, config)
    torch.manual_seed(config["seed"])
    module = torch_module(case.steps, case.channels)
    name, arguments = case.optimizer
    optimizer = getattr(torch.optim, name)(module.parameters(), **arguments, fused=True)
    mean, std = (torch.tensor(values)[:, None, None] for values in (images.mean, images.std))

    def in_memory(part: Any) -> tuple[torch.Tensor, torch.Tensor]:
        pixels = torch.from_numpy(part.images.copy()).permute(0, 3, 1, 2).float().div_(255).sub_(mean).div_(std)
        return pixels.contiguous(), torch.from_numpy(part.labels.copy())

    train, validation, test = (in_memory(part) for part in (images.train, images.validation, images.test))

    def accuracy_on(x: torch.Tensor, y: torch.Tensor) -> float:
        module.eval()
        with torch.inference_mode():
            correct = sum((module(a).argmax(1) == b).sum() for a, b in zip(x.split(500), y.split(500), strict=True))
        return float(correct) / len(y)

    for _ in range(config["epochs"]):
        module.train()
        for rows in torch.randperm(len(train[1])).split(case.batch_size):
            loss = functional.cross_entropy(module(train[0].index_select(0, rows)), train[1][rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        accuracy_on(*validation)
    return accuracy_on(*test)
