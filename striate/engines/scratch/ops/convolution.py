"""Convolution: as loops that define it, and as one matrix product with the same result.

With patches as the rows of a matrix X (N*P*Q, R*S*C) and filters as the columns of W (R*S*C, K), the result is

    Y = X W + b

and with G the gradient of Y, since dY = dX W + X dW + db and the loss changes by the sum of G * dY:

    gradient of W = X^T G        of b = the sum of the rows of G        of X = G W^T

`unfold` makes X by copying pixels of the map, so the gradient of the map is the `fold` of the gradient of X.
"""

from striate.engines.scratch.library import Array, namespace
from striate.engines.scratch.ops.windows import Window, fold, pad, unfold


def conv2d_direct(x_NHWC: Array, w_RSCK: Array, b_K: Array | None, window: Window, groups: int = 1) -> Array:
    """Convolution by its definition, one value of the result at a time. Slow: for reading, and to check `conv2d`."""
    xp = namespace(x_NHWC)
    N, H, W, _ = x_NHWC.shape
    R, S, C, K = w_RSCK.shape  # C channels of one group
    P, Q = window.outputs((H, W))
    padded = pad(x_NHWC, window)
    y_NPQK = xp.zeros((N, P, Q, K), dtype=x_NHWC.dtype)
    for n, p, q, k in ((n, p, q, k) for n in range(N) for p in range(P) for q in range(Q) for k in range(K)):
        first = k // (K // groups) * C  # the first channel of the group of filter k
        total = 0.0 if b_K is None else float(b_K[k])
        for r, s, c in ((r, s, c) for r in range(R) for s in range(S) for c in range(C)):
            row = p * window.stride[0] + r * window.dilation[0]
            column = q * window.stride[1] + s * window.dilation[1]
            total += float(padded[n, row, column, first + c]) * float(w_RSCK[r, s, c, k])
        y_NPQK[n, p, q, k] = total
    return y_NPQK


def conv2d(x_NHWC: Array, w_RSCK: Array, b_K: Array | None, window: Window, groups: int = 1) -> Array:
    """Convolution as one matrix product for each group."""
    xp = namespace(x_NHWC)
    N, H, W, _ = x_NHWC.shape
    P, Q = window.outputs((H, W))
    y = xp.matmul(_rows(unfold(x_NHWC, window), groups), _filters(w_RSCK, groups))
    y_NPQK = xp.reshape(_join_groups(y), (N, P, Q, w_RSCK.shape[3]))
    return y_NPQK if b_K is None else y_NPQK + b_K


def conv2d_backward(
    g_NPQK: Array, x_NHWC: Array, w_RSCK: Array, window: Window, groups: int = 1, needs_input_grad: bool = True
) -> tuple[Array | None, Array, Array]:
    """The gradients of the map (None unless `needs_input_grad`), of the filters and of the bias."""
    xp = namespace(g_NPQK)
    N, H, W, C = x_NHWC.shape
    _, P, Q, K = g_NPQK.shape
    g = _split_groups(xp.reshape(g_NPQK, (N * P * Q, K)), groups)
    gw = xp.matmul(_transposed(_rows(unfold(x_NHWC, window), groups)), g)
    gw_RSCK = xp.reshape(_join_groups(gw), w_RSCK.shape)
    gb_K = xp.sum(g_NPQK, axis=(0, 1, 2))
    if not needs_input_grad:
        return None, gw_RSCK, gb_K
    gx = xp.matmul(g, _transposed(_filters(w_RSCK, groups)))
    patches = xp.reshape(gx, (groups, N, P, Q, *window.kernel, C // groups))
    patches = xp.reshape(xp.permute_dims(patches, (1, 2, 3, 4, 5, 0, 6)), (N, P, Q, *window.kernel, C))
    return fold(patches, window, (H, W)), gw_RSCK, gb_K


def _rows(patches_NPQRSC: Array, groups: int) -> Array:
    """Patches as the rows of a matrix, one matrix for each group of channels."""
    xp = namespace(patches_NPQRSC)
    N, P, Q, R, S, C = patches_NPQRSC.shape
    split = xp.reshape(patches_NPQRSC, (N * P * Q, R * S, groups, C // groups))
    return xp.reshape(xp.permute_dims(split, (2, 0, 1, 3)), (groups, N * P * Q, R * S * C // groups))


def _filters(w_RSCK: Array, groups: int) -> Array:
    """The filters as the columns of a matrix, one matrix for each group."""
    xp = namespace(w_RSCK)
    R, S, C, K = w_RSCK.shape
    return _split_groups(xp.reshape(w_RSCK, (R * S * C, K)), groups)


def _split_groups(matrix: Array, groups: int) -> Array:
    """(rows, K) as (groups, rows, K of a group)."""
    xp = namespace(matrix)
    rows, K = matrix.shape
    return xp.permute_dims(xp.reshape(matrix, (rows, groups, K // groups)), (1, 0, 2))


def _join_groups(matrices: Array) -> Array:
    """The inverse of `_split_groups`."""
    xp = namespace(matrices)
    groups, rows, K = matrices.shape
    return xp.reshape(xp.permute_dims(matrices, (1, 0, 2)), (rows, groups * K))


def _transposed(matrices: Array) -> Array:
    return namespace(matrices).permute_dims(matrices, (0, 2, 1))
