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


WEIGHTS = torch.tensor([0.25, 4.0, 1.0, 2.0])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_weighted_it_is_torch_s_weighted_cross_entropy_mixed_or_not(smoothing):
    expected = functional.cross_entropy(LOGITS, LABELS, WEIGHTS, label_smoothing=smoothing)
    assert torch.equal(loss(LOGITS, Batch(NO_IMAGES, LABELS), smoothing, WEIGHTS), expected)
    own = Batch(NO_IMAGES, LABELS, LABELS.roll(-1), torch.ones(9))
    assert torch.allclose(loss(LOGITS, own, smoothing, WEIGHTS), expected, rtol=1e-6)
    equal = torch.full((4,), 3.0)  # equal weights weigh nothing
    mixed = Batch(NO_IMAGES, LABELS, LABELS.roll(-1), torch.linspace(0, 1, 9))
    assert torch.allclose(loss(LOGITS, mixed, smoothing, equal), loss(LOGITS, mixed, smoothing), rtol=1e-6)


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
