"""Each operation and its gradient side by side, for any array library that keeps to the array API standard.

Axes are in the names: N images, H W rows and columns of a map, C its channels, P Q rows and columns of the result,
K its channels, R S rows and columns of a kernel. Channels come last, so that a pixel's values lie together, a patch
is a row of a matrix, and nothing has to be torch_axes around before or after the product.

A gradient `g` has the shape of what it belongs to, and is that of the loss. `name_backward` takes the gradient of what
`name` gave and returns those of what it was given.
"""
