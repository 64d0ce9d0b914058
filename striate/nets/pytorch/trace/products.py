"""How many multiply-adds an operator of torch makes, whichever kernel was chosen; and which operators are not known to make none.

Torch's own registry has convolutions and matrix products. What it leaves out are kernels that do several of them at once.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor
from torch.utils.flop_counter import flop_registry

# Of an operator, by its name: from its arguments to multiply-adds.
Formula = Callable[..., int]


def products(operator: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any) -> int | None:
    """The multiply-adds of a call of `operator`; None where it makes some that are not known."""
    packet = getattr(operator, "_overloadpacket", operator)
    if packet in flop_registry:
        return int(flop_registry[packet](*args, **kwargs, out_val=result)) // 2
    namespace, _, name = str(getattr(operator, "name", str)()).partition("::")
    name = name.partition(".")[0]
    if namespace == "aten" and name in _FORMULAS:
        return _FORMULAS[name](*args)
    if namespace not in _KNOWN_NAMESPACES:
        return None
    return None if _HAS_PRODUCTS.search(name) and not _HAS_NONE.search(name) else 0


_KNOWN_NAMESPACES = {"aten", "prim", "prims"}
_HAS_PRODUCTS = re.compile(
    r"rnn|lstm|gru|attention|transformer|linalg|fft|cdist|conv(?!ert)|linear|matmul|mm(?![a-z])|mv(?![a-z])|v?dot(?![a-z])|bilinear|"
    r"trilinear|inverse|cholesky|svd|eig|lstsq|triangular_solve|matrix_exp|matrix_power|tensordot|einsum|qr(?![a-z])|lu_"
)
# Interpolation, and the plain arithmetic of a cell whose products are operators of their own.
_HAS_NONE = re.compile(r"upsample|grid_sampler|fused_(lstm|gru)_cell|linalg_vector_norm|check_errors|view|fft_fftfreq")


def _recurrent_layer(x: Tensor, *weights: Tensor) -> int:
    """Each step multiplies by all weights; of mkldnn, for a layer in one direction."""
    return _steps(x) * sum(weight.numel() for weight in weights[:2])


def _recurrent(x: Tensor, weights: list[Tensor], *_: Any) -> int:
    """The same for all layers and directions together; biases are vectors."""
    return _steps(x) * sum(weight.numel() for weight in weights if weight.ndim == 2)


def _recurrent_mps(x: Tensor, _: Any, weights: list[Tensor], *__: Any) -> int:
    return _recurrent(x, weights)


def _steps(x: Tensor) -> int:
    return math.prod(x.shape[:-1])


def _attention(query: Tensor, key: Tensor, value: Tensor, *_: Any) -> int:
    """Queries with keys, and the result with values."""
    return math.prod(query.shape[:-1]) * key.shape[-2] * (query.shape[-1] + value.shape[-1])


def _first_size(x: Tensor, *_: Any) -> int:
    return x.numel()


def _second_size(_: Tensor, x: Tensor, *__: Any) -> int:
    return x.numel()


def _added_batches(_: Tensor, first: Tensor, second: Tensor, *__: Any) -> int:
    return first.numel() * second.shape[-1]


def _second_matrix(_: Tensor, first: Tensor, second: Tensor, *__: Any) -> int:
    return first.shape[-2] * first.shape[-1] * second.shape[-1]


_FORMULAS: Mapping[str, Formula] = {
    "mkldnn_rnn_layer": _recurrent_layer,
    "_cudnn_rnn": _recurrent,
    "miopen_rnn": _recurrent,
    "_lstm_mps": _recurrent_mps,
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "_scaled_dot_product_fused_attention_overrideable": _attention,
    "_scaled_dot_product_attention_math_for_mps": _attention,
    "dot": _first_size,
    "vdot": _first_size,
    "mv": _first_size,
    "addmv": _second_size,
    "addbmm": _added_batches,
    "_addmm_activation": _second_matrix,
}
