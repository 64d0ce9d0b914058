"""Every operation with its gradient, on inputs of a random shape, and torch's own for the same.

A case is drawn from hypothesis' or NumPy's numbers; arrays are NHWC here and transposed for torch, which shares no code with us.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from striate.engines.scratch.ops import activations, convolution, dense, loss, norms, pooling
from striate.engines.scratch.ops.windows import Window


@dataclass
class Case:
    """Inputs as NumPy arrays; forward and backward of ours; torch's forward on tensors of the same layout."""

    inputs: list[np.ndarray]
    forward: Any
    backward: Any
    torch: Any


def map_to_torch(x):
    return x.permute(0, 3, 1, 2)


def map_from_torch(x):
    return x.permute(0, 2, 3, 1)


def whole(rng, low, high):
    return int(rng.integers(low, high + 1))


def normal(rng, *shape):
    return rng.standard_normal(shape)


def apart(rng, *shape):
    """Values that differ by at least 0.01, and from 0: no maximum, no kink changes sides within a small step."""
    size = int(np.prod(shape))
    return ((rng.permutation(size) - size // 2 + 0.5) * 0.02).reshape(shape)


def window(rng, dilated=True, padded=2):
    pair = lambda low, high: (whole(rng, low, high), whole(rng, low, high))  # noqa: E731
    kernel = pair(1, 3)
    pads = tuple((whole(rng, 0, padded), whole(rng, 0, padded)) for _ in range(2))
    return Window(kernel, pair(1, 2), pair(1, 2) if dilated else (1, 1), pads)


def a_map(rng, channels=None, draw=normal):
    return draw(rng, whole(rng, 1, 3), whole(rng, 5, 8), whole(rng, 5, 8), channels or whole(rng, 1, 4))


def surrounded(x, pads, value=0.0):
    (top, bottom), (left, right) = pads
    return functional.pad(map_to_torch(x), (left, right, top, bottom), value=value)


def conv(rng):
    groups, at = whole(rng, 1, 3), window(rng)
    x = a_map(rng, groups * whole(rng, 1, 3))
    w = normal(rng, *at.kernel, x.shape[3] // groups, groups * whole(rng, 1, 3))
    b = normal(rng, w.shape[3])
    return Case(
        [x, w, b],
        lambda x, w, b: convolution.conv2d(x, w, b, at, groups),
        lambda g, x, w, b: convolution.conv2d_backward(g, x, w, at, groups),
        lambda x, w, b: map_from_torch(
            functional.conv2d(
                surrounded(x, at.pads), w.permute(3, 2, 0, 1).contiguous(), b, at.stride, 0, at.dilation, groups
            )
        ),
    )


def max_pool(rng):
    at = window(rng, dilated=False, padded=0)
    pad = tuple(whole(rng, 0, side // 2) for side in at.kernel)
    at = Window(at.kernel, at.stride, pads=tuple((side, side) for side in pad))
    return Case(
        [a_map(rng, draw=apart)],
        lambda x: pooling.max_pool(x, at),
        lambda g, x: [pooling.max_pool_backward(g, x, pooling.max_pool(x, at), at)],
        lambda x: map_from_torch(functional.max_pool2d(map_to_torch(x), at.kernel, at.stride, pad)),
    )


def average_pool(rng):
    at = window(rng, dilated=False, padded=1)
    return Case(
        [a_map(rng)],
        lambda x: pooling.average_pool(x, at),
        lambda g, x: [pooling.average_pool_backward(g, x.shape[1:3], at)],
        lambda x: map_from_torch(functional.avg_pool2d(surrounded(x, at.pads), at.kernel, at.stride)),
    )


def pick(rng):
    size = (whole(rng, 1, 3), whole(rng, 1, 3))
    at = Window(size, size)
    return Case(
        [a_map(rng)],
        lambda x: pooling.pick(x, at),
        lambda g, x: [pooling.pick_backward(g, x.shape[1:3], at)],
        # A 1x1 max pool with a stride looks at the first pixel of each block; the cut leaves whole blocks only.
        lambda x: map_from_torch(
            functional.max_pool2d(
                map_to_torch(x[:, : x.shape[1] // size[0] * size[0], : x.shape[2] // size[1] * size[1]]), 1, size
            )
        ),
    )


def global_pool(rng):
    return Case(
        [a_map(rng)],
        pooling.global_pool,
        lambda g, x: [pooling.global_pool_backward(g, x.shape[1:3])],
        lambda x: functional.adaptive_avg_pool2d(map_to_torch(x), 1).flatten(1),
    )


def activation(name):
    def case(rng):
        return Case(
            [apart(rng, whole(rng, 1, 4), whole(rng, 1, 300))],
            lambda x: activations.activate(x, name),
            lambda g, x: [activations.activate_backward(g, x, activations.activate(x, name), name)],
            getattr(functional, name) if name not in {"sigmoid", "tanh"} else getattr(torch, name),
        )

    return case


def batch_norm(rng):
    x = normal(
        rng, whole(rng, 2, 4), *([whole(rng, 2, 4), whole(rng, 1, 4)] if rng.random() < 0.7 else []), whole(rng, 1, 4)
    )
    C, count = x.shape[-1], x.size // x.shape[-1]

    def alone(sums):
        return sums

    def forward(x, scale, shift):
        return norms.batch_norm(x, scale, shift, count, alone)[0]

    def backward(g, x, scale, shift):
        return norms.batch_norm_backward(g, norms.batch_norm(x, scale, shift, count, alone)[1], scale, alone)

    def theirs(x, scale, shift):
        y = functional.batch_norm(x.reshape(-1, C), None, None, scale, shift, training=True)
        return y.reshape(x.shape)

    return Case([x, normal(rng, C), normal(rng, C)], forward, backward, theirs)


def fixed_norm(rng):
    x = a_map(rng)
    C = x.shape[-1]
    mean, variance = normal(rng, C), 0.5 + rng.random(C)

    def ours(x, scale, shift):
        from striate.engines.scratch.library import namespace

        xp = namespace(x)
        return norms.fixed_norm(x, scale, shift, xp.asarray(mean, dtype=x.dtype), xp.asarray(variance, dtype=x.dtype))

    def theirs(x, scale, shift):
        fixed = [torch.from_numpy(statistic).to(x.dtype) for statistic in (mean, variance)]
        return map_from_torch(functional.batch_norm(map_to_torch(x), *fixed, scale, shift, training=False))

    return Case(
        [x, normal(rng, C), normal(rng, C)],
        lambda x, scale, shift: ours(x, scale, shift)[0],
        lambda g, x, scale, shift: norms.fixed_norm_backward(g, ours(x, scale, shift)[1], scale),
        theirs,
    )


def group_norm(rng):
    groups = whole(rng, 1, 3)
    x = a_map(rng, groups * whole(rng, 1, 3))
    C = x.shape[-1]
    return Case(
        [x, normal(rng, C), normal(rng, C)],
        lambda x, scale, shift: norms.group_norm(x, scale, shift, groups)[0],
        lambda g, x, scale, shift: norms.group_norm_backward(
            g, norms.group_norm(x, scale, shift, groups)[1], scale, groups
        ),
        lambda x, scale, shift: map_from_torch(functional.group_norm(map_to_torch(x), groups, scale, shift)),
    )


def fully_connected(rng):
    N, F, U = whole(rng, 1, 4), whole(rng, 1, 6), whole(rng, 1, 5)
    return Case(
        [normal(rng, N, F), normal(rng, F, U), normal(rng, U)],
        dense.dense,
        lambda g, x, w, b: dense.dense_backward(g, x, w),
        lambda x, w, b: functional.linear(x, w.T, b),
    )


def flatten(rng):
    x = a_map(rng)
    order = rng.permutation(x[0].size) if rng.random() < 0.5 else None

    def asked(x, numbers):
        from striate.engines.scratch.library import namespace

        return None if numbers is None else namespace(x).asarray(numbers)

    back = None if order is None else np.argsort(order)
    return Case(
        [x],
        lambda x: dense.flatten(x, asked(x, order)),
        lambda g, x: [dense.flatten_backward(g, x.shape[1:3], asked(g, back))],
        lambda x: map_to_torch(x).flatten(1)[:, slice(None) if order is None else torch.from_numpy(order)],
    )


def dropout(rng):
    x = a_map(rng)
    mask, share = (rng.random(x.shape) < 0.6).astype(float), 0.4

    def ours(x):
        from striate.engines.scratch.library import namespace

        return dense.dropout(x, namespace(x).asarray(mask, dtype=x.dtype), share)

    return Case(
        [x], ours, lambda g, x: [ours(g)], lambda x: torch.where(torch.from_numpy(mask) > 0, x / (1 - share), 0 * x)
    )


def cross_entropy(rng, is_weighted=False):
    N, K, smoothing = whole(rng, 1, 5), whole(rng, 2, 6), float(rng.choice([0.0, 0.1]))
    labels, others, share = rng.integers(0, K, N), rng.integers(0, K, N), rng.random(N)
    is_mixed, weights = rng.random() < 0.5, rng.random(K) + 0.5 if is_weighted else None
    own_share = share if is_mixed else np.ones(N)

    def target(z):
        from striate.engines.scratch.library import namespace

        xp = namespace(z)
        if is_mixed:
            plain = loss.mixed_targets(*map(xp.asarray, (labels, others, share)), K, smoothing, z.dtype)
        else:
            plain = loss.targets(xp.asarray(labels), K, smoothing, z.dtype)
        if weights is None:
            return plain
        of_labels = own_share * weights[labels] + (1 - own_share) * weights[others]
        return loss.weighted_targets(plain, *(xp.asarray(array, dtype=z.dtype) for array in (weights, of_labels)))

    def theirs(z):
        of_classes = None if weights is None else torch.from_numpy(weights).to(z.dtype)
        own, partner = (
            functional.cross_entropy(z, torch.from_numpy(one), of_classes, reduction="none", label_smoothing=smoothing)
            for one in (labels, others)
        )
        part = torch.from_numpy(own_share).to(z.dtype)
        losses = part * own + (1 - part) * partner
        if of_classes is None:
            return losses
        return losses / (part * of_classes[labels] + (1 - part) * of_classes[others]).mean()

    forward = loss.cross_entropy if weights is None else loss.weighted_cross_entropy
    backward = loss.cross_entropy_backward if weights is None else loss.weighted_cross_entropy_backward
    return Case(
        [3 * normal(rng, N, K)],
        lambda z: forward(z, target(z)),
        lambda g, z: [g[:, None] * backward(z, target(z))],
        theirs,
    )


OPERATIONS = {
    "conv2d": conv,
    "max_pool": max_pool,
    "average_pool": average_pool,
    "pick": pick,
    "global_pool": global_pool,
    **{name: activation(name) for name in activations.FUNCTIONS},
    "batch_norm": batch_norm,
    "fixed_norm": fixed_norm,
    "group_norm": group_norm,
    "dense": fully_connected,
    "flatten": flatten,
    "dropout": dropout,
    "cross_entropy": cross_entropy,
    "weighted_cross_entropy": partial(cross_entropy, is_weighted=True),
}
