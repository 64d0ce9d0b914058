"""An independent reading of a network: torch walks over the layer records and counts what it makes.

It shares no code with `resolve` or `build`: channels come from the tensor at hand, sizes from torch.
"""

import math

import torch
from torch import nn
from torch.nn import functional

from striate.nets.layers import (
    Activate,
    AveragePool,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    Normalize,
    Pool,
    Residual,
    Subsample,
)

CONV = {2: nn.Conv2d, 3: nn.Conv3d}
MAX = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
MEAN = {2: nn.AvgPool2d, 3: nn.AvgPool3d}
BATCH = {0: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


class Walk:
    """The shapes in the order of the rows, and the number of parameters."""

    def __init__(self, network, image_shape, classes):
        self.network, self.shapes, self.parameters = network, [], 0
        image = torch.zeros(2, *image_shape)
        x = image if network.dims == 2 else image.movedim(1, -1)[:, None]
        with torch.no_grad():
            x = self.layers(network.parsed, x)
            if network.head == "gap":
                x = self.note(x.flatten(2).mean(2))
            if network.head != "none":
                self.layers((Dense(units=classes),), x, last=True)

    def note(self, x):
        self.shapes.append(tuple(x.shape[1:]))
        return x

    def use(self, module, x):
        self.parameters += sum(parameter.numel() for parameter in module.parameters())
        return module.eval()(x)

    def layers(self, layers, x, last=False):
        for layer in layers:
            x = self.layer(layer, x, last)
        return x

    def layer(self, layer, x, last):
        dims = x.dim() - 2
        if isinstance(layer, Dense):
            if dims:
                x = self.note(x.flatten(1))
            units = layer.units if last else round(layer.units * self.network.width)
            bias = True if last else self.setting(layer, "bias")
            x = self.use(nn.Linear(x.shape[1], units, bias=bias), x)
            return self.note(x if last else self.norm(layer, x))
        if isinstance(layer, Residual):
            return self.residual(layer, x)
        if isinstance(layer, Conv):
            return self.note(self.norm(layer, self.conv(layer, x, dims)))
        if isinstance(layer, Pool):
            kind = MEAN if isinstance(layer, AveragePool) or self.network.linear else MAX
            if kind is MEAN:
                # Padded before: AvgPool3d refuses maps smaller than its kernel, whatever the padding.
                pads = (layer.padding,) * dims if isinstance(layer.padding, int) else layer.padding
                x = functional.pad(x, [pad for side in reversed(pads) for pad in (side, side)])
                return self.note(MEAN[dims](layer.kernel, layer.stride)(x))
            return self.note(MAX[dims](layer.kernel, layer.stride, layer.padding)(x))
        if isinstance(layer, Subsample):
            # The maximum over blocks of this size has as many values.
            return self.note(MAX[dims](layer.size)(x))
        if isinstance(layer, GlobalPool):
            return self.note(x.flatten(2).mean(2))
        if isinstance(layer, Flatten):
            return self.note(x.flatten(1))
        if isinstance(layer, Normalize):
            return self.note(self.normalized(layer.norm, layer.groups, x))
        assert isinstance(layer, Dropout | Activate)
        return self.note(x)

    def conv(self, layer, x, dims):
        filters = round(layer.filters * self.network.width)
        arguments = {"stride": layer.stride, "dilation": layer.dilation, "groups": layer.groups}
        arguments["bias"] = self.setting(layer, "bias")
        if layer.padding is None:
            # torch pads "same" only at stride 1: there it keeps the size, and a stride then keeps every s-th value.
            arguments["stride"], arguments["padding"] = 1, "same"
            full = self.use(CONV[dims](x.shape[1], filters, layer.kernel, **arguments), x)
            strides = (layer.stride,) * dims if isinstance(layer.stride, int) else layer.stride
            return full[(..., *(slice(None, None, step) for step in strides))]
        return self.use(CONV[dims](x.shape[1], filters, layer.kernel, padding=layer.padding, **arguments), x)

    def residual(self, layer, x):
        inside = self.layers(layer.body, x)
        if layer.shortcut:
            around = self.layers(layer.shortcut, x)
        elif inside.shape != x.shape:
            stride = tuple(
                math.ceil(before / after) for before, after in zip(x.shape[2:], inside.shape[2:], strict=True)
            )
            filters = inside.shape[1] / self.network.width
            around = self.layers((Conv(filters=int(filters), kernel=1, stride=stride, padding=0),), x)
        else:
            around = x
        return self.note(inside + around)

    def norm(self, layer, x):
        return self.normalized(self.setting(layer, "norm"), layer.overrides.norm_groups, x)

    def normalized(self, norm, groups, x):
        channels, dims = x.shape[1], x.dim() - 2
        if self.network.linear and norm != "batch":
            return x
        if norm == "batch":
            return self.use(BATCH[dims](channels), x)
        if norm == "layer":
            return self.use(nn.LayerNorm(channels), x.movedim(1, -1)).movedim(-1, 1)
        if norm == "group":
            return self.use(nn.GroupNorm(groups or self.network.norm_groups, channels), x)
        if norm == "instance" and dims:
            return self.use((nn.InstanceNorm2d if dims == 2 else nn.InstanceNorm3d)(channels, affine=True), x)
        return x

    def setting(self, layer, field):
        override = getattr(layer.overrides, field)
        return getattr(self.network, field) if override is None else override
