"""The window of a kernel sliding over a map: its positions, the patches under it, and their sum back into a map."""

from dataclasses import dataclass

from striate.engines.scratch.library import Array, namespace

Pair = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """A kernel's size and how it moves; `pads` are the pixels added (before, after) rows and columns."""

    kernel: Pair
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    pads: tuple[Pair, Pair] = ((0, 0), (0, 0))

    def outputs(self, sides: Pair) -> Pair:
        """The number of positions along the rows and the columns of a map."""
        P, Q = (
            (side + sum(pad) - wide * (size - 1) - 1) // step + 1
            for side, size, step, wide, pad in zip(
                sides, self.kernel, self.stride, self.dilation, self.pads, strict=True
            )
        )
        return P, Q

    def padded(self, sides: Pair) -> Pair:
        """The sides of a map with its padding."""
        (top, bottom), (left, right) = self.pads
        return sides[0] + top + bottom, sides[1] + left + right

    def slices_at(self, r: int, s: int, outputs: Pair) -> tuple[slice, slice]:
        """The rows and columns of the padded map under kernel pixel (r, s), one for each position."""
        first = (r * self.dilation[0], s * self.dilation[1])
        # The standard does not define a stop beyond the end, so each stop is exact.
        rows, columns = (
            slice(start, start + (count - 1) * step + 1, step)
            for start, count, step in zip(first, outputs, self.stride, strict=True)
        )
        return rows, columns

    def inside(self, sides: Pair) -> tuple[slice, slice]:
        """The rows and columns of the padded map that hold the map itself."""
        (top, _), (left, _) = self.pads
        return slice(top, top + sides[0]), slice(left, left + sides[1])

    def pixels(self) -> list[Pair]:
        """Each (r, s) of the kernel, row by row."""
        return [(r, s) for r in range(self.kernel[0]) for s in range(self.kernel[1])]


def pad(x_NHWC: Array, window: Window, value: float = 0.0) -> Array:
    """The map with `value` around it; the same array where no padding is needed."""
    N, H, W, C = x_NHWC.shape
    if window.padded((H, W)) == (H, W):
        return x_NHWC
    xp = namespace(x_NHWC)
    padded = xp.zeros((N, *window.padded((H, W)), C), dtype=x_NHWC.dtype)
    if value:
        padded += value
    rows, columns = window.inside((H, W))
    padded[:, rows, columns, :] = x_NHWC
    return padded


def crop(padded: Array, window: Window, sides: Pair) -> Array:
    """The map without the padding."""
    rows, columns = window.inside(sides)
    return padded[:, rows, columns, :]


def unfold(x_NHWC: Array, window: Window) -> Array:
    """Every patch under the window, as (N, P, Q, R, S, C): each pixel is copied once for each patch that contains it."""
    xp = namespace(x_NHWC)
    N, H, W, C = x_NHWC.shape
    P, Q = window.outputs((H, W))
    padded = pad(x_NHWC, window)
    patches = xp.empty((N, P, Q, *window.kernel, C), dtype=x_NHWC.dtype)
    for r, s in window.pixels():
        rows, columns = window.slices_at(r, s, (P, Q))
        patches[:, :, :, r, s, :] = padded[:, rows, columns, :]
    return patches


def fold(patches_NPQRSC: Array, window: Window, sides: Pair) -> Array:
    """Every patch added back at its position: the transpose of `unfold`.

    The gradient of a copied value is the sum over its copies, so `fold` is the gradient of `unfold`, and the reverse.
    """
    xp = namespace(patches_NPQRSC)
    N, P, Q, _, _, C = patches_NPQRSC.shape
    padded = xp.zeros((N, *window.padded(sides), C), dtype=patches_NPQRSC.dtype)
    for r, s in window.pixels():
        rows, columns = window.slices_at(r, s, (P, Q))
        padded[:, rows, columns, :] += patches_NPQRSC[:, :, :, r, s, :]
    return crop(padded, window, sides)
