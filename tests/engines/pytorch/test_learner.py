"""The loss of mixed images, against the same thing computed in another way."""

import pytest
import torch
from torch.nn import functional

from striate.engines.pytorch.device_dataset import Batch
from striate.engines.pytorch.learner import batch_loss as loss

LOGITS = torch.randn(9, 4, generator=torch.Generator().manual_seed(0)) * 3
LABELS = torch.arange(9) % 4
NO_IMAGES = torch.empty(9, 0)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_without_mixing_it_is_the_cross_entropy_bit_for_bit(smoothing):
    expected = functional.cross_entropy(LOGITS, LABELS, label_smoothing=smoothing)
    assert torch.equal(loss(LOGITS, Batch(NO_IMAGES, LABELS), smoothing), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_mixed_it_is_the_cross_entropy_to_mixed_targets(smoothing):
    """Cross-entropy is linear in its target, so mixing two losses is mixing two targets."""
    shares, partners = torch.linspace(0, 1, 9), LABELS.roll(-1)
    targets = shares[:, None] * functional.one_hot(LABELS, 4) + (1 - shares[:, None]) * functional.one_hot(partners, 4)
    expected = functional.cross_entropy(LOGITS, targets, label_smoothing=smoothing)
    mixed = loss(LOGITS, Batch(NO_IMAGES, LABELS, partners, shares), smoothing)
    assert torch.allclose(mixed, expected, rtol=1e-6)
    swapped = loss(LOGITS, Batch(NO_IMAGES, partners, LABELS, shares), smoothing)
    assert not torch.allclose(swapped, expected, rtol=1e-3)
