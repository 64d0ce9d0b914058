"""3x3 convolutions by Winograd's minimal filtering, F(4x4, 3x3), on a CPU in float32: a quarter of the multiplications.

A map is cut into tiles of 6x6 values that overlap by 2; each gives 4x4 values of the output. With the transforms of Lavin and Gray
(arXiv:1509.09308), the output of a tile is A'[(G w G') * (B' d B)]A, and the product in the middle becomes 36 matrix products over
all tiles, (tiles x channels) by (channels x filters). The gradients are the adjoints of the same steps. Transforms are sums of
slices; images are processed in blocks whose transformed tiles stay in a processor's cache.

Which layers are computed this way is a rule of shapes (`is_faster`), the same on every machine: equal seeds give equal numbers.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

TILE = 4  # output values of a tile, along each axis
SIDE = TILE + 2  # input values of a tile
POINTS = SIDE * SIDE
# What the transforms of one value cost, in multiply-adds of the products, forward and backward: fitted to the measured times of
# eleven shapes (benchmarks/convolution_speed.py).
TRANSFORM_COST = 100
# A saving below this is not worth another algorithm.
LEAST_SAVING = 1.1
# The filters are transformed once a step; fewer tiles do not repay it.
FEWEST_TILES = 64
# Transformed values of a block, input and output together: 8 MB.
BLOCK_VALUES = 2_000_000
G = (
    (1 / 4, 0.0, 0.0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0.0, 0.0, 1.0),
)
# Six values of each tile, or four: along the first axis of an array, or as views of one.
_Slices = Tensor | Sequence[Tensor]


def is_faster(channels: int, filters: int, images: int, output_height: int, output_width: int) -> bool:
    """Whether F(4x4, 3x3) takes less work than the direct convolution for these shapes, forward and backward.

    Direct: 9 multiply-adds for each output value, channel and filter. Winograd: 36 for each tile, channel and filter, and the
    transforms, which grow with channels + filters; so it gains where there are many of both and tiles are well filled.
    """
    tiles = -(-output_height // TILE) * -(-output_width // TILE)
    direct = 9 * output_height * output_width * channels * filters
    winograd = POINTS * tiles * (channels * filters + TRANSFORM_COST * (channels + filters))
    return images * tiles >= FEWEST_TILES and direct >= LEAST_SAVING * winograd


class WinogradConv2d(nn.Conv2d):
    """`nn.Conv2d` with the same parameters and state, which takes the faster algorithm where `is_faster` says so."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:  # noqa: A002 - torch's name
        padding = self.padding
        if isinstance(padding, tuple) and input.dim() == 4 and _is_plain_float32(input):
            height, width = (side + 2 * pad - 2 for side, pad in zip(input.shape[2:], padding, strict=True))
            if is_faster(self.in_channels, self.out_channels, len(input), height, width):
                return winograd_conv2d(input, weight, bias, (padding[0], padding[1]))
        return super()._conv_forward(input, weight, bias)


def use_winograd(module: nn.Module) -> int:
    """Let every 3x3 convolution of `module` with stride 1, zero padding and one group choose; returns how many there are.

    The modules stay where they are, with their names, parameters, hooks and state.
    """
    layers = [part for part in module.modules() if type(part) is nn.Conv2d and _is_suitable(part)]
    for layer in layers:
        layer.__class__ = WinogradConv2d
    return len(layers)


def _is_suitable(layer: nn.Conv2d) -> bool:
    ones = (1, 1)
    is_plain = layer.padding_mode == "zeros" and isinstance(layer.padding, tuple) and layer.groups == 1
    return is_plain and layer.kernel_size == (3, 3) and layer.stride == ones and layer.dilation == ones


def _is_plain_float32(x: Tensor) -> bool:
    return x.dtype == torch.float32 and x.device.type == "cpu" and not torch.is_autocast_enabled("cpu")


def winograd_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None = None, padding: tuple[int, int] = (0, 0)) -> Tensor:
    """The convolution of `x` (N, C, H, W) with `weight` (K, C, 3, 3), stride 1, as `torch.nn.functional.conv2d` has it.

    The result is (N, K, H + 2 * padding - 2, W + 2 * padding - 2), channels-last. In float32 it differs from the direct
    convolution by about 1e-5 of the largest value.
    """
    y: Tensor = _Winograd.apply(x, weight, padding)
    return y if bias is None else y + bias[:, None, None]


class _Grid(NamedTuple):
    """How a map is cut into tiles and images into blocks."""

    height: int
    width: int
    padding: tuple[int, int]
    rows: int  # of tiles
    columns: int
    images: int  # of a block

    @classmethod
    def of(cls, x: Tensor, filters: int, padding: tuple[int, int]) -> "_Grid":
        _, channels, height, width = x.shape
        rows, columns = (-(-(side + 2 * pad - 2) // TILE) for side, pad in zip((height, width), padding, strict=True))
        images = max(1, BLOCK_VALUES // (POINTS * rows * columns * (channels + filters)))
        return cls(height, width, padding, rows, columns, images)

    @property
    def output(self) -> tuple[int, int]:
        return self.height + 2 * self.padding[0] - 2, self.width + 2 * self.padding[1] - 2


class _Winograd(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, padding: tuple[int, int]) -> Tensor:
        grid = _Grid.of(x, len(weight), padding)
        x_NHWC, u_PCK = x.permute(0, 2, 3, 1), _transformed_filters(weight)
        N, K = len(x), len(weight)
        y_NHWK = x.new_empty(N, TILE * grid.rows, TILE * grid.columns, K)
        is_kept = ctx.needs_input_grad[1]
        tiles = []
        for start in range(0, N, grid.images):
            v_PTC = _transformed_input(x_NHWC[start : start + grid.images], grid)
            _write_output(torch.bmm(v_PTC, u_PCK), y_NHWK[start : start + grid.images], grid)
            if is_kept:
                tiles.append(v_PTC)
        ctx.save_for_backward(u_PCK, *tiles)
        ctx.grid, ctx.shape = grid, x.shape
        height, width = grid.output
        return y_NHWK[:, :height, :width].permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        u_PCK, *tiles = ctx.saved_tensors
        grid, (N, C, H, W) = ctx.grid, ctx.shape
        g_NHWK = g.permute(0, 2, 3, 1)
        gx_NHWC = g.new_empty(N, H, W, C) if ctx.needs_input_grad[0] else None
        gu_PCK: Tensor | None = None
        for block, start in enumerate(range(0, N, grid.images)):
            gm_PTK = _transformed_gradient(g_NHWK[start : start + grid.images], grid)
            if tiles:
                v_PCT = tiles[block].transpose(1, 2)
                gu_PCK = torch.bmm(v_PCT, gm_PTK) if gu_PCK is None else gu_PCK.baddbmm_(v_PCT, gm_PTK)
            if gx_NHWC is not None:
                gv_PTC = torch.bmm(gm_PTK, u_PCK.transpose(1, 2))
                _write_input_gradient(gv_PTC, gx_NHWC[start : start + grid.images], grid)
        gx = None if gx_NHWC is None else gx_NHWC.permute(0, 3, 1, 2)
        return gx, None if gu_PCK is None else _filter_gradient(gu_PCK), None


def _filter_matrix(like: Tensor) -> Tensor:
    """G (x) G, which takes the 9 values of a filter to the 36 points of a tile."""
    g = like.new_tensor(G)
    return torch.kron(g, g)


def _transformed_filters(weight_KCRS: Tensor) -> Tensor:
    """G w G' for every filter and channel, (36, C, K)."""
    K, C, _, _ = weight_KCRS.shape
    return (_filter_matrix(weight_KCRS) @ weight_KCRS.permute(2, 3, 1, 0).reshape(9, C * K)).view(POINTS, C, K)


def _filter_gradient(gu_PCK: Tensor) -> Tensor:
    _, C, K = gu_PCK.shape
    return (_filter_matrix(gu_PCK).t() @ gu_PCK.reshape(POINTS, C * K)).view(3, 3, C, K).permute(3, 2, 0, 1)


def _transformed_input(x_NHWC: Tensor, grid: _Grid) -> Tensor:
    """B' d B of every tile, (36, tiles, C): along the columns, then along the rows."""
    N, _, _, C = x_NHWC.shape
    (top, left), height, width = grid.padding, TILE * grid.rows + 2, TILE * grid.columns + 2
    padded = functional.pad(x_NHWC, (0, 0, left, width - left - grid.width, top, height - top - grid.height))
    along = x_NHWC.new_empty(SIDE, N, height, grid.columns, C)
    _input_transform(_strided(padded, 2, grid.columns), along)
    points = x_NHWC.new_empty(SIDE, SIDE, N, grid.rows, grid.columns, C)
    _input_transform(_strided(along, 2, grid.rows), points)
    return points.view(POINTS, -1, C)


def _write_output(m_PTK: Tensor, y_NHWK: Tensor, grid: _Grid) -> None:
    """A' m A of every tile into its place of the output."""
    N, K = len(y_NHWK), m_PTK.shape[2]
    points = m_PTK.view(SIDE, SIDE, N, grid.rows, grid.columns, K)
    along = m_PTK.new_empty(TILE, SIDE, N, grid.rows, grid.columns, K)
    _output_transform(points, along)
    tiled = y_NHWK.view(N, grid.rows, TILE, grid.columns, TILE, K)
    _output_transform(
        [along[:, i] for i in range(SIDE)], [tiled[..., i, :].permute(2, 0, 1, 3, 4) for i in range(TILE)]
    )


def _transformed_gradient(g_NHWK: Tensor, grid: _Grid) -> Tensor:
    """A g A' of every tile, (36, tiles, K): the adjoint of `_write_output`."""
    N, height, width, K = g_NHWK.shape
    padded = functional.pad(g_NHWK, (0, 0, 0, TILE * grid.columns - width, 0, TILE * grid.rows - height)).contiguous()
    tiled = padded.view(N, grid.rows, TILE, grid.columns, TILE, K)
    along = g_NHWK.new_empty(SIDE, N, grid.rows, TILE, grid.columns, K)
    _output_adjoint([tiled[..., i, :] for i in range(TILE)], along)
    points = g_NHWK.new_empty(SIDE, SIDE, N, grid.rows, grid.columns, K)
    _output_adjoint([along[:, :, :, i] for i in range(TILE)], points)
    return points.view(POINTS, -1, K)


def _write_input_gradient(gv_PTC: Tensor, gx_NHWC: Tensor, grid: _Grid) -> None:
    """B g B' of every tile, added up where tiles overlap: the adjoint of `_transformed_input`."""
    N, C = len(gx_NHWC), gv_PTC.shape[2]
    points = gv_PTC.view(SIDE, SIDE, N, grid.rows, grid.columns, C)
    height, width = TILE * grid.rows + 2, TILE * grid.columns + 2
    along = gv_PTC.new_zeros(SIDE, N, height, grid.columns, C)
    _input_adjoint(points, _strided(along, 2, grid.rows))
    padded = gv_PTC.new_zeros(N, height, width, C)
    _input_adjoint(along, _strided(padded, 2, grid.columns))
    top, left = grid.padding
    gx_NHWC.copy_(padded[:, top : top + grid.height, left : left + grid.width])


def _strided(array: Tensor, axis: int, tiles: int) -> list[Tensor]:
    """The first value of every tile along `axis`, the second, ..., the sixth."""
    return [array.narrow(axis, i, TILE * (tiles - 1) + 1).unfold(axis, 1, TILE).squeeze(-1) for i in range(SIDE)]


def _input_transform(d: _Slices, out: _Slices) -> None:
    """B' along one axis:

    4  0 -5  0  1  0
    0 -4 -4  1  1  0
    0  4 -4 -1  1  0
    0 -2 -1  2  1  0
    0  2 -1 -2  1  0
    0  4  0 -5  0  1
    """
    even, odd = torch.sub(d[4], d[2], alpha=4), torch.sub(d[3], d[1], alpha=4)
    torch.add(even, odd, out=out[1])
    torch.sub(even, odd, out=out[2])
    torch.sub(d[4], d[2], out=even)
    torch.sub(d[3], d[1], out=odd)
    torch.add(even, odd, alpha=2, out=out[3])
    torch.sub(even, odd, alpha=2, out=out[4])
    torch.sub(d[4], d[2], alpha=5, out=even)
    torch.add(even, d[0], alpha=4, out=out[0])
    torch.sub(d[5], d[3], alpha=5, out=odd)
    torch.add(odd, d[1], alpha=4, out=out[5])


def _input_adjoint(v: _Slices, out: _Slices) -> None:
    """B along one axis, added to `out`."""
    total, difference = v[1] + v[2], v[1] - v[2]
    total_2, difference_2 = v[3] + v[4], v[3] - v[4]
    out[0].add_(v[0], alpha=4)
    out[1].add_(difference, alpha=-4).add_(difference_2, alpha=-2).add_(v[5], alpha=4)
    out[2].add_(v[0], alpha=-5).add_(total, alpha=-4).sub_(total_2)
    out[3].add_(difference).add_(difference_2, alpha=2).add_(v[5], alpha=-5)
    out[4].add_(v[0]).add_(total).add_(total_2)
    out[5].add_(v[5])


def _output_transform(m: _Slices, out: _Slices) -> None:
    """A' along one axis:

    1  1  1  1  1  0
    0  1 -1  2 -2  0
    0  1  1  4  4  0
    0  1 -1  8 -8  1
    """
    total, difference = m[1] + m[2], m[1] - m[2]
    total_2, difference_2 = m[3] + m[4], m[3] - m[4]
    torch.add(difference, difference_2, alpha=2, out=out[1])
    torch.add(total, total_2, alpha=4, out=out[2])
    torch.add(total, total_2, out=total)
    torch.add(total, m[0], out=out[0])
    torch.add(difference, difference_2, alpha=8, out=difference)
    torch.add(difference, m[5], out=out[3])


def _output_adjoint(d: _Slices, out: _Slices) -> None:
    """A along one axis."""
    even, odd = d[0] + d[2], d[1] + d[3]
    out[0].copy_(d[0])
    out[5].copy_(d[3])
    torch.add(even, odd, out=out[1])
    torch.sub(even, odd, out=out[2])
    torch.add(d[0], d[2], alpha=4, out=even)
    torch.add(d[1], d[3], alpha=4, out=odd)
    torch.add(even, odd, alpha=2, out=out[3])
    torch.sub(even, odd, alpha=2, out=out[4])
