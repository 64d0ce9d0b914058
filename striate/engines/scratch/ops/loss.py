"""Softmax and cross-entropy together, because their joint gradient is simpler than either alone.

With p = softmax(z), that is p_i = e^z_i / (e^z_1 + e^z_2 + ...), and a target t whose values sum to 1,

    loss = -sum t_i log p_i = log(e^z_1 + e^z_2 + ...) - sum t_i z_i

The derivative of the first term by z_i is e^z_i over the sum, which is p_i; so the gradient is p - t.

Where classes are weighted, t_i is multiplied by the weight of class i, and the values of t sum to s. Then the first term
is s times as large, and the gradient is s p - t.
"""

from striate.engines.scratch.library import Array, namespace


def softmax(z_NK: Array) -> Array:
    """Probabilities that sum to 1. Subtracting the largest z first changes nothing and keeps e^z finite."""
    xp = namespace(z_NK)
    powers = xp.exp(z_NK - xp.max(z_NK, axis=1, keepdims=True))
    return powers / xp.sum(powers, axis=1, keepdims=True)


def cross_entropy(z_NK: Array, target_NK: Array) -> Array:
    """The loss of each image."""
    xp = namespace(z_NK)
    shifted = z_NK - xp.max(z_NK, axis=1, keepdims=True)
    return xp.log(xp.sum(xp.exp(shifted), axis=1)) - xp.sum(target_NK * shifted, axis=1)


def weighted_cross_entropy(z_NK: Array, target_NK: Array) -> Array:
    """The loss of each image for targets that sum to the weight of the image."""
    xp = namespace(z_NK)
    shifted = z_NK - xp.max(z_NK, axis=1, keepdims=True)
    log_sum_N = xp.log(xp.sum(xp.exp(shifted), axis=1))
    return xp.sum(target_NK, axis=1) * log_sum_N - xp.sum(target_NK * shifted, axis=1)


def cross_entropy_backward(z_NK: Array, target_NK: Array) -> Array:
    """The gradient of each image's own loss."""
    return softmax(z_NK) - target_NK


def weighted_cross_entropy_backward(z_NK: Array, target_NK: Array) -> Array:
    """The gradient of each image's own loss for targets that sum to the weight of the image."""
    xp = namespace(z_NK)
    return softmax(z_NK) * xp.sum(target_NK, axis=1, keepdims=True) - target_NK


def weighted_targets(target_NK: Array, weights_K: Array, label_weights_N: Array) -> Array:
    """Targets times the weights of their classes, and so scaled that the mean over a batch is one over the weights.

    `label_weights_N`: the weight of each image's label, or of its mixed labels.
    """
    xp = namespace(target_NK)
    mean_weight = xp.sum(label_weights_N) / target_NK.shape[0]
    return target_NK * weights_K[None, :] / mean_weight


def targets(labels_N: Array, classes: int, smoothing: float, dtype: object) -> Array:
    """One-hot targets (N, classes); a share `smoothing` of each is spread over all classes."""
    xp = namespace(labels_N)
    is_label = labels_N[:, None] == xp.arange(classes, dtype=labels_N.dtype)[None, :]
    return xp.astype(is_label, dtype) * (1 - smoothing) + smoothing / classes


def mixed_targets(
    labels_N: Array, partners_N: Array, lambda_N: Array, classes: int, smoothing: float, dtype: object
) -> Array:
    """Targets of mixed images: lambda times the target of the own label plus 1 - lambda times that of the partner's."""
    xp = namespace(labels_N)
    label_lambda = xp.astype(lambda_N, dtype)[:, None]
    own, partner = (targets(labels, classes, smoothing, dtype) for labels in (labels_N, partners_N))
    return label_lambda * own + (1 - label_lambda) * partner
