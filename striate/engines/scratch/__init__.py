"""Convolutional networks from scratch: every gradient is written out, on the array API standard, without an autograd library.

The operations of docs/from-scratch.md are exported here; `learner` trains any 2D network of the notation.
"""

from striate.engines.scratch.ops.convolution import conv2d, conv2d_backward, conv2d_direct
from striate.engines.scratch.ops.windows import Window, fold, unfold

__all__ = ["Window", "conv2d", "conv2d_backward", "conv2d_direct", "fold", "unfold"]
