"""Random torch modules for the proofs: 2D and 3D, branches, groups, dilation, uneven padding, every norm.

Their weights are float64 and their activations smooth, so that a dependence shows as a number that is not zero:
a relu that happens to be off would hide it.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import strategies as st
from torch import nn

SIDES = {2: 12, 3: 7}


class Steps(nn.Module):
    """Modules in a row; `choice` says how each joins what came before."""

    def __init__(self, steps):
        super().__init__()
        self.steps = nn.ModuleList(step for step, _ in steps)
        self.joins = [join for _, join in steps]

    def forward(self, x):
        for step, join in zip(self.steps, self.joins, strict=True):
            y = step(x)
            if join == "add":
                y = y + x
            elif join == "concat":
                y = torch.cat([x, y], 1)
            elif join == "gate":
                y = x * torch.sigmoid(y.mean(tuple(range(2, x.ndim)), keepdim=True))
            x = y
        return x


class Cut(nn.Module):
    """Every second position, from an odd start, written as a slice."""

    def forward(self, x):
        return x[(slice(None), slice(None)) + (slice(1, None, 2),) * (x.ndim - 2)]


class Uneven(nn.Module):
    """Padding that differs between the sides, written as a function."""

    def __init__(self, sides, mode):
        super().__init__()
        self.sides, self.mode = sides, mode

    def forward(self, x):
        return F.pad(x, self.sides, self.mode)


@st.composite
def modules(draw, axes=None):
    """(module, input shape) with a map for an output."""
    axes = axes or draw(st.sampled_from([2, 2, 3]))
    channels, sides = draw(st.sampled_from([1, 2, 3])), [SIDES[axes]] * axes
    shape, steps = (channels, *sides), []
    torch.manual_seed(draw(st.integers(0, 2**31)))
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["conv", "conv", "conv", "pool", "norm", "branch", "cut", "pad", "adaptive"]))
        step, join = _step(draw, kind, axes, channels, sides)
        module = Steps([*steps, (step, join)])
        try:
            with torch.no_grad():
                after = module.double().eval()(torch.rand(1, *shape, dtype=torch.float64)).shape
        except (RuntimeError, ValueError):  # does not fit any more: leave it out
            continue
        if min(after[2:]) >= 2:
            steps.append((step, join))
            channels, sides = after[1], list(after[2:])
    module = Steps(steps).double()
    # What batch norm has learned must not be the identity.
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d | nn.BatchNorm3d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
    return module, shape


def _step(draw, kind, axes, channels, sides):
    if kind == "conv":
        return nn.Sequential(_conv(draw, axes, channels), _activation(draw)), "chain"
    if kind == "branch":
        join = draw(st.sampled_from(["add", "concat", "gate"]))
        kernel, dilation = draw(st.sampled_from([1, 3])), draw(st.sampled_from([1, 2]))
        conv = _layer("Conv", axes)(channels, channels, kernel, padding=(kernel - 1) // 2 * dilation, dilation=dilation)
        return nn.Sequential(conv, _activation(draw)), join
    if kind == "pool":
        kernel, stride = draw(st.integers(2, 3)), draw(st.integers(1, 3))
        which, ceil = draw(st.sampled_from(["MaxPool", "AvgPool"])), draw(st.booleans())
        return _layer(which, axes)(kernel, stride, padding=draw(st.integers(0, 1)), ceil_mode=ceil), "chain"
    if kind == "norm":
        return draw(st.sampled_from([batch, layer, group, instance]))(axes, channels, sides), "chain"
    if kind == "pad":
        mode = draw(st.sampled_from(["constant", "reflect", "circular", "replicate"]))
        return Uneven(tuple(draw(st.lists(st.integers(0, 2), min_size=2 * axes, max_size=2 * axes))), mode), "chain"
    if kind == "cut":
        return Cut(), "chain"
    which = draw(st.sampled_from(["AdaptiveAvgPool", "AdaptiveMaxPool"]))
    return _layer(which, axes)(draw(st.integers(2, 5))), "chain"


def _conv(draw, axes, channels):
    groups = draw(st.sampled_from([1, channels]))
    per_axis = [draw(st.tuples(*[st.integers(1, top)] * axes)) for top in (3, 2, 2)]
    kernel, stride, dilation = per_axis
    padding = draw(st.sampled_from(["same", 0, 1, 2])) if set(stride) == {1} else draw(st.integers(0, 2))
    out = draw(st.sampled_from([2, 4])) * (channels if groups > 1 else 1)
    return _layer("Conv", axes)(
        channels, min(out, 2 * channels) if groups > 1 else out, kernel, stride, padding, dilation, groups
    )


def _activation(draw):
    return draw(st.sampled_from([nn.Identity, nn.Tanh, nn.SiLU, nn.Softplus, nn.PReLU]))()


def _layer(name, axes):
    return getattr(nn, f"{name}{axes}d")


def batch(axes, channels, sides):
    return _layer("BatchNorm", axes)(channels)


def layer(axes, channels, sides):
    return nn.LayerNorm([channels, *sides])


def group(axes, channels, sides):
    return nn.GroupNorm(1 if channels % 2 else 2, channels)


def instance(axes, channels, sides):
    return _layer("InstanceNorm", axes)(channels, affine=True)
