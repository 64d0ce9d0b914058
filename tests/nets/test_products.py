"""Multiply-adds of what torch computes in one kernel: by hand, and as torch counts them where it takes plain kernels."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from striate.nets.pytorch.trace.tracer import trace
from striate.nets.summary.summarize import summarize_graph


class Sequence(nn.Module):
    """An image of 3x8x8 as 8 steps of 24 values, through `layer` and an fc layer of 5."""

    def __init__(self, layer, width):
        super().__init__()
        self.layer, self.fc = layer, nn.Linear(width, 5)

    def forward(self, x):
        x = self.layer(x.permute(0, 2, 1, 3).flatten(2))
        return self.fc((x[0] if isinstance(x, tuple) else x).mean(1))


class Attention(nn.Module):
    """Patches of 4x4 as 64 tokens of 16 values, attention of 4 heads, an fc layer of 5."""

    def __init__(self, need_weights):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, 4)
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)
        self.fc, self.need_weights = nn.Linear(16, 5), need_weights

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x, _ = self.attention(x, x, x, need_weights=self.need_weights)
        return self.fc(x.mean(1))


class Cross(nn.Module):
    """24 values that ask 8 tokens of other sizes; no projection."""

    def forward(self, x):
        q, k, v = x.reshape(1, 2, 12, 8), x.reshape(1, 2, 12, 8)[:, :, :5], x.reshape(1, 2, 16, 6)[:, :, :5]
        return F.scaled_dot_product_attention(q, k, v).flatten(1)


def counted(module, shape):
    return summarize_graph(trace(module, shape)).table


def torch_counts(module, shape):
    """By torch's own counter, with kernels that it knows."""
    torch.backends.mha.set_fastpath_enabled(False)
    torch._C._set_mkldnn_enabled(False)  # its context manager warns of other flags
    try:
        with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            module.eval()(torch.rand(1, *shape))
    finally:
        torch._C._set_mkldnn_enabled(True)
        torch.backends.mha.set_fastpath_enabled(True)
    return counter.get_total_flops() // 2


@pytest.mark.parametrize("need_weights", [True, False])
def test_attention_counts_the_same_whatever_kernel_torch_takes(need_weights):
    table = counted(Attention(need_weights), (3, 32, 32))
    patches, projections, products, fc = 64 * 16 * 48, 4 * 64 * 16 * 16, 2 * 64 * 64 * 16, 16 * 5
    assert table.totals.macs == patches + projections + products + fc == 245_840
    assert table.uncounted == ()
    with sdpa_kernel(SDPBackend.MATH):
        assert counted(Attention(need_weights), (3, 32, 32)).totals.macs == 245_840


def recurrent(gates, inputs, hidden, *, layers=1, directions=1, projected=0):
    """Of 8 steps, step by step: each gate of a layer multiplies its inputs and its previous outputs, then the projection."""
    total, out = 0, projected or hidden
    for layer in range(layers):
        size = inputs if layer == 0 else out * directions
        for _ in range(directions):
            for _ in range(8):
                total += gates * hidden * (size + out) + projected * hidden
    return total


LAYERS = {
    "lstm": (lambda: nn.LSTM(24, 7, batch_first=True), 7, recurrent(4, 24, 7)),
    "lstm of two layers both ways": (
        lambda: nn.LSTM(24, 7, num_layers=2, bidirectional=True, batch_first=True),
        14,
        recurrent(4, 24, 7, layers=2, directions=2),
    ),
    "lstm without biases": (lambda: nn.LSTM(24, 7, bias=False, batch_first=True), 7, recurrent(4, 24, 7)),
    "lstm with a projection": (lambda: nn.LSTM(24, 7, proj_size=3, batch_first=True), 3, recurrent(4, 24, 7, projected=3)),
    "gru": (lambda: nn.GRU(24, 7, num_layers=2, batch_first=True), 7, recurrent(3, 24, 7, layers=2)),
    "rnn": (lambda: nn.RNN(24, 7, batch_first=True), 7, recurrent(1, 24, 7)),
    "encoder": (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(24, 4, 32, batch_first=True), 2, enable_nested_tensor=False),
        24,
        2 * 8 * (4 * 24 * 24 + 2 * 8 * 24 + 2 * 24 * 32),
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("name", LAYERS)
def test_layers_of_torch_that_are_one_kernel(name):
    make, width, macs = LAYERS[name]
    module = Sequence(make(), width)
    table = counted(module, (3, 8, 8))
    assert table.totals.macs == macs + 5 * width == torch_counts(module, (3, 8, 8))
    assert table.uncounted == ()
    assert table.totals.parameters == sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("function", "macs"),
    [
        (lambda x: Cross()(x), 2 * 12 * 5 * (8 + 6)),
        (lambda x: torch.mv(x[0, 0], x[0, 1, 0])[None], 8 * 8),
        (lambda x: torch.addmv(x[0, 1, 0], x[0, 0], x[0, 1, 1])[None], 8 * 8),
        (lambda x: torch.addbmm(x[0, 0], x[0], x[0]), 3 * 8 * 8 * 8),
        (lambda x: x.flatten(1) * torch.dot(x[0, 0, 0], x[0, 0, 1]), 8),
        (lambda x: torch.einsum("bchw,bcwk->bchk", x, x).flatten(1), 3 * 8 * 8 * 8),
    ],
)
def test_products_of_activations(function, macs):
    table = counted(Wrapped(function), (3, 8, 8))
    assert (table.totals.macs, table.uncounted) == (macs, ())


class Wrapped(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@torch.library.custom_op("striate_test::double", mutates_args=())
def double(x: torch.Tensor) -> torch.Tensor:
    return x * 2


@pytest.mark.parametrize(
    ("function", "operator"),
    [
        (lambda x: torch.fft.rfft2(x).abs().flatten(1), "fft_r2c"),
        (lambda x: torch.cdist(x[0], x[0], p=1.0).flatten()[None], "cdist_forward"),
        (lambda x: torch.linalg.inv(x + torch.eye(8)).flatten(1), "linalg_inv_ex"),
        (lambda x: F.bilinear(x, x, torch.ones(2, 8, 8)).flatten(1), "trilinear"),
        (lambda x: double(x).flatten(1), "double"),
    ],
)
def test_what_cannot_be_counted_is_named_and_not_zero(function, operator):
    module = Wrapped(lambda x: function(x).sum(1, keepdim=True))
    summary = summarize_graph(trace(module, (3, 8, 8)))
    assert any(operator in name for name in summary.table.uncounted), summary.table.uncounted
    assert f"{operator})" in " ".join(summary.text().split())
    assert "which are not known" in " ".join(summary.text().split())
    saved = type(summary.table).from_json(summary.table.to_json())
    assert saved == summary.table


def test_interpolation_and_other_arithmetic_counts_nothing_and_is_not_called_unknown():
    module = Wrapped(
        lambda x: F.grid_sample(
            F.interpolate(x, 16, mode="bilinear"), torch.zeros(1, 4, 4, 2), align_corners=False
        ).flatten(1)
    )
    table = counted(module, (3, 8, 8))
    assert (table.totals.macs, table.uncounted) == (0, ())
