"""3x3 convolutions by Winograd's minimal filtering on a CPU in float32: with a quarter of the multiplications.

A map is cut into tiles that overlap by 2 values; each of 6x6 values gives 4x4 values of the output, F(4x4, 3x3), or each of 4x4
gives 2x2, F(2x2, 3x3), for small maps. With the transforms of Lavin and Gray (arXiv:1509.09308), the output of a tile is
A'[(G w G') * (B' d B)]A, and the product in the middle becomes 36 (or 16) matrix products over all tiles, (tiles x channels) by
(channels x filters). The gradients are the adjoints of the same steps. A transform is one product too: the Kronecker square of
B', G or A', by the values of all tiles. Images are processed in blocks that stay in a processor's cache.

Which layers are computed this way is a rule of shapes (`fastest_tile`), the same on every machine: equal seeds give equal numbers.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

# What the transforms of one value cost, in multiply-adds of the products, forward and backward: fitted to the measured times of
# eleven shapes (benchmarks/convolution_speed.py).
TRANSFORM_COST = 100
# A saving below this is not worth another algorithm.
LEAST_SAVING = 1.1
# The filters are transformed once a step; fewer tiles do not repay it.
FEWEST_TILES = 64
# Transformed values of a block, input and output together: 8 MB.
BLOCK_VALUES = 2_000_000
Rows = tuple[tuple[float, ...], ...]


class Transforms(NamedTuple):
    """The matrices of F(tile x tile, 3x3): G w G' of a filter, B' d B of a tile, A' m A of a result."""

    G: Rows
    B: Rows
    A: Rows


TRANSFORMS = {
    2: Transforms(
        G=((1.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.0, 0.0, 1.0)),
        B=((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, -1.0, 1.0), (-1.0, 1.0, 1.0, 0.0), (0.0, 0.0, 0.0, -1.0)),
        A=((1.0, 0.0), (1.0, 1.0), (1.0, -1.0), (0.0, -1.0)),
    ),
    4: Transforms(
        G=(
            (1 / 4, 0.0, 0.0),
            (-1 / 6, -1 / 6, -1 / 6),
            (-1 / 6, 1 / 6, -1 / 6),
            (1 / 24, 1 / 12, 1 / 6),
            (1 / 24, -1 / 12, 1 / 6),
            (0.0, 0.0, 1.0),
        ),
        B=(
            (4.0, 0.0, 0.0, 0.0, 0.0, 0.0),
            (0.0, -4.0, 4.0, -2.0, 2.0, 4.0),
            (-5.0, -4.0, -4.0, -1.0, -1.0, 0.0),
            (0.0, 1.0, -1.0, 2.0, -2.0, -5.0),
            (1.0, 1.0, 1.0, 1.0, 1.0, 0.0),
            (0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
        ),
        A=(
            (1.0, 0.0, 0.0, 0.0),
            (1.0, 1.0, 1.0, 1.0),
            (1.0, -1.0, 1.0, -1.0),
            (1.0, 2.0, 4.0, 8.0),
            (1.0, -2.0, 4.0, -8.0),
            (0.0, 0.0, 0.0, 1.0),
        ),
    ),
}


def fastest_tile(channels: int, filters: int, images: int, output_height: int, output_width: int) -> int | None:
    """The tile with which a convolution takes the least work, forward and backward; None where the direct one does.

    Direct: 9 multiply-adds for each output value, channel and filter. By tiles: one for each of a tile's points, channel and filter,
    and the transforms, which grow with channels + filters; so tiles gain where there are many of both and tiles are well filled.
    """
    best, least = None, 9 * output_height * output_width * channels * filters / LEAST_SAVING
    for tile in TRANSFORMS:
        tiles = -(-output_height // tile) * -(-output_width // tile)
        cost = (tile + 2) ** 2 * tiles * (channels * filters + TRANSFORM_COST * (channels + filters))
        if images * tiles >= FEWEST_TILES and cost <= least:
            best, least = tile, cost
    return best


class WinogradConv2d(nn.Conv2d):
    """`nn.Conv2d` with the same parameters and state, which takes the faster algorithm where `fastest_tile` names one."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:  # noqa: A002 - torch's name
        padding = self.padding
        if isinstance(padding, tuple) and input.dim() == 4 and _is_plain_float32(input):
            height, width = (side + 2 * pad - 2 for side, pad in zip(input.shape[2:], padding, strict=True))
            if tile := fastest_tile(self.in_channels, self.out_channels, len(input), height, width):
                return winograd_conv2d(input, weight, bias, (padding[0], padding[1]), tile)
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


def winograd_conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, padding: tuple[int, int] = (0, 0), tile: int = 4
) -> Tensor:
    """The convolution of `x` (N, C, H, W) with `weight` (K, C, 3, 3), stride 1, as `torch.nn.functional.conv2d` has it.

    The result is (N, K, H + 2 * padding - 2, W + 2 * padding - 2), channels-last. In float32 it differs from the direct
    convolution by about 1e-5 of the largest value with tiles of 4, and 1e-6 with tiles of 2.
    """
    y: Tensor = _Winograd.apply(x, weight, bias, padding, tile)
    return y


class _Grid(NamedTuple):
    """How a map is cut into tiles and images into blocks."""

    height: int
    width: int
    padding: tuple[int, int]
    tile: int  # output values along each axis
    rows: int  # of tiles
    columns: int
    images: int  # of a block

    @classmethod
    def of(cls, x: Tensor, filters: int, padding: tuple[int, int], tile: int) -> "_Grid":
        _, channels, height, width = x.shape
        rows, columns = (-(-(side + 2 * pad - 2) // tile) for side, pad in zip((height, width), padding, strict=True))
        points = (tile + 2) ** 2
        values = max(
            BLOCK_VALUES, points * channels * filters
        )  # no less than the transformed filters, which every block reads
        images = max(1, values // (points * rows * columns * (channels + filters)))
        return cls(height, width, padding, tile, rows, columns, images)

    @property
    def side(self) -> int:
        """Input values of a tile along each axis."""
        return self.tile + 2

    @property
    def points(self) -> int:
        return self.side**2

    @property
    def output(self) -> tuple[int, int]:
        return self.height + 2 * self.padding[0] - 2, self.width + 2 * self.padding[1] - 2

    def matrix(self, name: str, like: Tensor) -> Tensor:
        """The transform `name` along both axes of a tile as one matrix, its Kronecker product with itself."""
        one_axis = like.new_tensor(getattr(TRANSFORMS[self.tile], name))
        return torch.kron(one_axis, one_axis)


class _Buffers:
    """Memory for the intermediate results of one block, which the next block takes again: it is in the cache already."""

    def __init__(self, like: Tensor) -> None:
        self._like, self._flat = like, dict[str, Tensor]()

    def take(self, name: str, *shape: int) -> Tensor:
        """An array of `shape`; the first one of a name must be the largest."""
        size = math.prod(shape)
        if name not in self._flat:
            self._flat[name] = self._like.new_empty(size)
        return self._flat[name][:size].view(shape)


class _Winograd(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int], tile: int
    ) -> Tensor:
        grid, buffers = _Grid.of(x, len(weight), padding, tile), _Buffers(x)
        x_NHWC, u_PCK = x.permute(0, 2, 3, 1), _transformed_filters(weight, grid)
        N, K = len(x), len(weight)
        y_NHWK = x.new_empty(N, grid.tile * grid.rows, grid.tile * grid.columns, K)
        is_kept = ctx.needs_input_grad[1]
        tiles = []
        for start in range(0, N, grid.images):
            v_PTC = _transformed_input(x_NHWC[start : start + grid.images], grid, buffers, is_kept=is_kept)
            m_PTK = torch.bmm(v_PTC, u_PCK, out=buffers.take("m", grid.points, v_PTC.shape[1], K))
            _write_output(m_PTK, bias, y_NHWK[start : start + grid.images], grid, buffers)
            if is_kept:
                tiles.append(v_PTC)
        ctx.save_for_backward(u_PCK, *tiles)
        ctx.grid, ctx.shape = grid, x.shape
        height, width = grid.output
        return y_NHWK[:, :height, :width].permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        u_PCK, *tiles = ctx.saved_tensors
        grid, (N, C, H, W), buffers = ctx.grid, ctx.shape, _Buffers(g)
        g_NHWK = g.permute(0, 2, 3, 1)
        gx_NHWC = g.new_empty(N, H, W, C) if ctx.needs_input_grad[0] else None
        gu_PCK = torch.zeros_like(u_PCK) if tiles else None
        for block, start in enumerate(range(0, N, grid.images)):
            gm_PTK = _transformed_gradient(g_NHWK[start : start + grid.images], grid, buffers)
            if gu_PCK is not None:
                gu_PCK.baddbmm_(tiles[block].transpose(1, 2), gm_PTK)
            if gx_NHWC is not None:
                gv_PTC = buffers.take("gv", grid.points, gm_PTK.shape[1], C)
                torch.bmm(gm_PTK, u_PCK.transpose(1, 2), out=gv_PTC)
                _write_input_gradient(gv_PTC, gx_NHWC[start : start + grid.images], grid, buffers)
        gx = None if gx_NHWC is None else gx_NHWC.permute(0, 3, 1, 2)
        gw = None if gu_PCK is None else _filter_gradient(gu_PCK, grid)
        return gx, gw, g.sum((0, 2, 3)) if ctx.needs_input_grad[2] else None, None, None


def _transformed_filters(weight_KCRS: Tensor, grid: _Grid) -> Tensor:
    """G w G' for every filter and channel, (points, C, K)."""
    K, C, _, _ = weight_KCRS.shape
    return (grid.matrix("G", weight_KCRS) @ weight_KCRS.permute(2, 3, 1, 0).reshape(9, C * K)).view(grid.points, C, K)


def _filter_gradient(gu_PCK: Tensor, grid: _Grid) -> Tensor:
    _, C, K = gu_PCK.shape
    return (grid.matrix("G", gu_PCK).t() @ gu_PCK.view(grid.points, C * K)).view(3, 3, C, K).permute(3, 2, 0, 1)


def _transformed_input(x_NHWC: Tensor, grid: _Grid, buffers: _Buffers, *, is_kept: bool) -> Tensor:
    """B' d B of every tile, (points, tiles, C), in new memory if it is kept for the backward pass."""
    C = x_NHWC.shape[3]
    (top, left), height, width = grid.padding, grid.tile * grid.rows + 2, grid.tile * grid.columns + 2
    padded = functional.pad(x_NHWC, (0, 0, left, width - left - grid.width, top, height - top - grid.height))
    windows = padded.unfold(1, grid.side, grid.tile).unfold(2, grid.side, grid.tile).permute(4, 5, 0, 1, 2, 3)
    d = buffers.take("d", *windows.shape).copy_(windows).view(grid.points, -1)
    v = x_NHWC.new_empty(d.shape) if is_kept else buffers.take("v", *d.shape)
    return torch.mm(grid.matrix("B", d).t(), d, out=v).view(grid.points, -1, C)


def _write_output(m_PTK: Tensor, bias: Tensor | None, y_NHWK: Tensor, grid: _Grid, buffers: _Buffers) -> None:
    """A' m A of every tile, and the bias, into its place of the output."""
    N, _, _, K = y_NHWK.shape
    m = m_PTK.view(grid.points, -1)
    y = torch.mm(grid.matrix("A", m).t(), m, out=buffers.take("y", grid.tile**2, m.shape[1]))
    tiles = y.view(grid.tile, grid.tile, N, grid.rows, grid.columns, K)
    places = y_NHWK.view(N, grid.rows, grid.tile, grid.columns, grid.tile, K).permute(2, 4, 0, 1, 3, 5)
    if bias is None:
        places.copy_(tiles)
    else:
        torch.add(tiles, bias, out=places)


def _transformed_gradient(g_NHWK: Tensor, grid: _Grid, buffers: _Buffers) -> Tensor:
    """A g A' of every tile, (points, tiles, K): the adjoint of `_write_output`."""
    N, height, width, K = g_NHWK.shape
    missing = grid.tile * grid.rows - height, grid.tile * grid.columns - width
    if any(missing):
        g_NHWK = functional.pad(g_NHWK, (0, 0, 0, missing[1], 0, missing[0]))
    tiles = g_NHWK.reshape(N, grid.rows, grid.tile, grid.columns, grid.tile, K).permute(2, 4, 0, 1, 3, 5)
    g = buffers.take("g", *tiles.shape).copy_(tiles).view(grid.tile**2, -1)
    return torch.mm(grid.matrix("A", g), g, out=buffers.take("gm", grid.points, g.shape[1])).view(grid.points, -1, K)


def _write_input_gradient(gv_PTC: Tensor, gx_NHWC: Tensor, grid: _Grid, buffers: _Buffers) -> None:
    """B g B' of every tile, added up where tiles overlap: the adjoint of `_transformed_input`."""
    N, C, rows, columns = len(gx_NHWC), gv_PTC.shape[2], grid.rows, grid.columns
    gv = gv_PTC.view(grid.points, -1)
    gd = torch.mm(grid.matrix("B", gv), gv, out=buffers.take("gd", *gv.shape))
    tiles = gd.view(grid.side, grid.side, N, rows, columns, C)
    padded = buffers.take("gx", N, rows + 1, grid.tile, columns + 1, grid.tile, C).zero_()
    places = padded.permute(2, 4, 0, 1, 3, 5)
    places[:, :, :, :rows, :columns] = tiles[: grid.tile, : grid.tile]
    places[:2, :, :, 1:, :columns] += tiles[grid.tile :, : grid.tile]
    places[:, :2, :, :rows, 1:] += tiles[: grid.tile, grid.tile :]
    places[:2, :2, :, 1:, 1:] += tiles[grid.tile :, grid.tile :]
    top, left = grid.padding
    whole = padded.view(N, grid.tile * (rows + 1), grid.tile * (columns + 1), C)
    gx_NHWC.copy_(whole[:, top : top + grid.height, left : left + grid.width])
