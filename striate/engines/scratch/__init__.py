"""A convolutional network by hand: every gradient written out, over the array API standard, with no autograd library.

The operations of the lesson are here; `scratch.learner` trains any network of the notation that is 2D.
"""

from striate.engines.scratch.ops.convolution import conv2d, conv2d_backward, conv2d_direct
from striate.engines.scratch.ops.windows import Window, fold, unfold

__all__ = ["Window", "conv2d", "conv2d_backward", "conv2d_direct", "fold", "unfold"]
