"""Devices and precision: chosen, or refused in words."""

import pytest
import torch

from striate.core.errors import TrainingError
from striate.engines.pytorch import device
from striate.recipes import Recipe


def test_what_is_asked_for_is_what_comes():
    assert device.choose(Recipe(precision="float32"), "cpu", 3).dtype == torch.float32
    assert device.choose(Recipe(precision="bf16"), "cpu", 3).precision == "bf16"
    assert device.choose(Recipe(), "cpu", 3).threads == 3


def test_auto_uses_bf16_only_where_there_are_units_for_it(monkeypatch):
    for has in (True, False):
        monkeypatch.setattr(device, "_has_bf16_units", lambda _, has=has: has)
        assert device.choose(Recipe(), "cpu").precision == ("bf16" if has else "float32")


def test_a_device_that_does_not_exist_is_refused():
    with pytest.raises(TrainingError, match="--device: must be one of auto, cpu, cuda, mps, got 'gpu'"):
        device.choose(Recipe(), "gpu")


def test_a_device_that_is_not_here_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError, match=r"--device cuda: PyTorch finds no such device here; usable: .*cpu"):
        device.choose(Recipe(), "cuda")
