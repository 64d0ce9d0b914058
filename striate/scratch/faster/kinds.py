"""Which layers have a faster way for NumPy."""

from striate.scratch import layers

FASTER: dict[type[layers.Layer], type[layers.Layer]] = {}
