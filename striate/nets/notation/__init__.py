"""The notation: layers as words, read into records and written back.

    conv64                 64 filters, 3x3, stride 1, size kept
    conv64k5s2p0d2g4       kernel 5, stride 2, padding 0, dilation 2, 4 groups; also k(5,3), psame, pvalid
    pool  avgpool3s2p1     max pool 2x2; average pool 3x3, stride 2, padding 1; also pool(2,2,1)
    pick2                  keeps the first pixel of each 2x2 block
    gap                    global average pool
    flatten  flatten~7     a map as a row of values; in the fixed random order number 7
    fc128  drop0.5         fully connected, 128 units; dropout of half the activations
    batch  group8  relu    a norm or an activation as a layer
    conv64:batch,gelu      overrides of the network's norm, activation, init or bias
    res(conv64 conv64)     a residual block; res(... | conv64k1s2) gives the layers of the shortcut
    3x(conv64 pool)        three times

`write(parse(text))` is the one spelling of these layers, and `parse(write(layers)) == layers`.
"""

from striate.nets.notation.parser import MAX_LAYERS, parse
from striate.nets.notation.printer import write

__all__ = ["MAX_LAYERS", "parse", "write"]
