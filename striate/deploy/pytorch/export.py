"""A run's network as one graph from uint8 images to probabilities, written as ONNX or as a program of torch.export."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from striate.core.optional import require
from striate.data.dataset import Images
from striate.deploy.pytorch.network import Network, plain_module
from striate.engines.pytorch.evaluate import view
from striate.recipes import views

OPSET = 18
METADATA = "striate.json"  # in a program of torch.export
INPUT, OUTPUT = "images", "probabilities"


class Deployed(nn.Module):
    """uint8 images (N, H, W, C) to probabilities (N, classes): normalization, views of test time and softmax included."""

    scale: Tensor
    shift: Tensor

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.module = plain_module(network.trained)
        self._views = views(network.trained.recipe.test_time)
        # The same numbers as in training: rounded to float32 only here.
        self.register_buffer("scale", torch.from_numpy(1 / (255 * network.std)).float())
        self.register_buffer("shift", torch.from_numpy(-network.mean / network.std).float())

    def forward(self, images: Tensor) -> Tensor:
        pixels = (images.float() * self.scale + self.shift).permute(0, 3, 1, 2)
        logits = sum(weight * self.module(view(pixels, shift, flip)) for weight, shift, flip in self._views)
        return torch.softmax(logits, dim=1)


def write_onnx(network: Network, images: Images, metadata: Mapping[str, str], path: Path) -> None:
    """Write the network as ONNX. `images`: two or more, to follow their way through it.

    Raises:
        MissingExtra: without the extra `export`.
    """
    onnx = require("onnx", extra="export", why="Exporting to ONNX")
    require("onnxscript", extra="export", why="Exporting to ONNX")
    program = torch.onnx.export(
        Deployed(network).eval(), (_example(images),), dynamo=True, opset_version=OPSET, verbose=False, external_data=False,
        input_names=[INPUT], output_names=[OUTPUT], dynamic_shapes=_dynamic(),
    )  # fmt: skip
    assert program is not None
    model = program.model_proto
    onnx.helper.set_model_props(model, dict(metadata))
    path.write_bytes(model.SerializeToString())


def write_torch(network: Network, images: Images, metadata: Mapping[str, str], path: Path) -> None:
    """Write the network as a program of torch.export, which needs torch and no code of ours."""
    program = torch.export.export(Deployed(network).eval(), (_example(images),), dynamic_shapes=_dynamic())
    with path.open("wb") as file:
        torch.export.save(program, file, extra_files={METADATA: json.dumps(dict(metadata))})


def read_torch(path: Path) -> tuple[nn.Module, dict[str, str]]:
    """The module of a file that `write_torch` wrote, and its metadata."""
    files: dict[str, Any] = {METADATA: ""}
    with path.open("rb") as file:
        module = torch.export.load(file, extra_files=files).module()
    return module, json.loads(files[METADATA])


@torch.inference_mode()
def run_torch(module: nn.Module, images: Images) -> Any:
    """The probabilities of images, as NumPy."""
    return module(torch.from_numpy(images.copy())).numpy()


def _example(images: Images) -> Tensor:
    return torch.from_numpy(images[:2].copy())


def _dynamic() -> tuple[dict[int, Any]]:
    return ({0: torch.export.Dim("batch", min=1)},)
