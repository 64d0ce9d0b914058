"""Which layers have a faster way for NumPy."""

from striate.scratch import layers
from striate.scratch.faster import convolution, others

FASTER: dict[type[layers.Layer], type[layers.Layer]] = {
    layers.Convolution: convolution.Convolution,
    layers.MaxPool: others.MaxPool,
    layers.Activate: others.Activate,
    layers.Dense: others.Dense,
}
