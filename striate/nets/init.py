"""Initial weights, drawn by NumPy from named streams: the seed, the layer's name and the shape decide them.

So every engine and device starts from the same numbers, and a layer of the same name and shape starts the same
in every arm. The schemes are those of `torch.nn.init`, with these standard deviations (fan in: the number of inputs
that one output sums over; fan out: filters x kernel):

    default          sqrt(1 / (3 fan_in)), uniform: the default of torch's conv and linear layers
    xavier_*         sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio 2010)
    kaiming_*        sqrt(2 / fan_in), for relu (He et al. 2015)
    lecun            sqrt(1 / fan_in), normal (LeCun et al. 1998)
    orthogonal       rows, or columns if they are fewer, of length 1 and at right angles (Saxe et al. 2013)
    dirac            a convolution's first filters copy its channels, one each; the others, and fc layers, as default
    whiten           as default; `whitening_weights` computes the weights that replace them, from the training images

Biases are uniform within 1 / sqrt(fan_in), as torch's are, or zero.
"""

import math
from collections.abc import Callable

import numpy as np

from striate.core.seeds import stream
from striate.nets.layers import Init, Shape


def fans(shape: Shape) -> tuple[int, int]:
    """(fan in, fan out) of a weight of `shape` (out, in, *kernel).

    A grouped convolution counts all its filters as fan out, as torch.nn.init does.
    """
    window = math.prod(shape[2:])
    return shape[1] * window, shape[0] * window


def weight(scheme: Init, seed: int, name: str, shape: Shape) -> np.ndarray:
    """The initial weight of layer `name`, float32 (out, in, *kernel)."""
    values = _SCHEMES[scheme](stream(seed, "init", name, "weight"), shape)
    return values.astype(np.float32)


def bias(zero: bool, seed: int, name: str, shape: Shape) -> np.ndarray:
    """The initial bias of layer `name`, float32 (out,); `shape` is that of its weight."""
    if zero:
        return np.zeros(shape[0], np.float32)
    bound = 1 / math.sqrt(fans(shape)[0])
    return stream(seed, "init", name, "bias").uniform(-bound, bound, shape[0]).astype(np.float32)


def permutation(number: int, size: int) -> np.ndarray:
    """The fixed random order `number` of the `size` values of `flatten~NUMBER`; no seed and no version of NumPy changes it."""
    return random_order(stream(number, "flatten", size), size)


def random_order(generator: np.random.Generator, size: int) -> np.ndarray:
    """The numbers below `size` in random order, int64; the same for every version of NumPy."""
    # Generator.permutation may change between versions of NumPy; the bits below it are promised not to.
    return np.argsort(generator.bit_generator.random_raw(size), kind="stable")


def _uniform(generator: np.random.Generator, shape: Shape, deviation: float) -> np.ndarray:
    bound = math.sqrt(3) * deviation
    return generator.uniform(-bound, bound, shape)


def _normal(generator: np.random.Generator, shape: Shape, deviation: float) -> np.ndarray:
    return generator.normal(0, deviation, shape)


def _orthogonal(generator: np.random.Generator, shape: Shape) -> np.ndarray:
    rows, columns = shape[0], math.prod(shape[1:])
    values = generator.normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(values)
    q *= np.sign(np.diag(r))  # LAPACK chooses the signs; these make the result uniform over all orthogonal matrices
    return (q if rows >= columns else q.T).reshape(shape)


def _xavier(shape: Shape) -> float:
    return math.sqrt(2 / sum(fans(shape)))


def _kaiming(shape: Shape) -> float:
    return math.sqrt(2 / fans(shape)[0])


def _default(generator: np.random.Generator, shape: Shape) -> np.ndarray:
    bound = 1 / math.sqrt(fans(shape)[0])
    return generator.uniform(-bound, bound, shape)


def _dirac(generator: np.random.Generator, shape: Shape) -> np.ndarray:
    values = _default(generator, shape)
    if len(shape) > 2:
        center = tuple(side // 2 for side in shape[2:])
        for channel in range(min(shape[:2])):
            values[channel] = 0
            values[(channel, channel, *center)] = 1
    return values


_SCHEMES: dict[Init, Callable[[np.random.Generator, Shape], np.ndarray]] = {
    "default": _default,
    "xavier_uniform": lambda generator, shape: _uniform(generator, shape, _xavier(shape)),
    "xavier_normal": lambda generator, shape: _normal(generator, shape, _xavier(shape)),
    "kaiming_uniform": lambda generator, shape: _uniform(generator, shape, _kaiming(shape)),
    "kaiming_normal": lambda generator, shape: _normal(generator, shape, _kaiming(shape)),
    "lecun": lambda generator, shape: _normal(generator, shape, math.sqrt(1 / fans(shape)[0])),
    "orthogonal": _orthogonal,
    "dirac": _dirac,
    "whiten": _default,
}
