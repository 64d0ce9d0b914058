"""What a step makes smaller: the cross-entropy, over both labels where images are mixed."""

from torch import Tensor
from torch.nn import functional

from striate.training.feed import Batch


def loss(logits: Tensor, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
    """The mean over the batch of the cross-entropy; of a mixed picture, each label's counts with its image's share."""
    if batch.partners is None or batch.shares is None:
        return functional.cross_entropy(logits, batch.labels, label_smoothing=label_smoothing)
    own, partner = (
        functional.cross_entropy(logits, labels, label_smoothing=label_smoothing, reduction="none")
        for labels in (batch.labels, batch.partners)
    )
    return (batch.shares * own + (1 - batch.shares) * partner).mean()
