"""Each operation with its gradient, for any library of the array API standard.

Names of arrays end in their axes: N images, H W rows and columns of a map, C its channels, P Q rows and columns of the
result, K its channels, R S rows and columns of a kernel. Channels come last: the values of a pixel are neighbors in
memory, a patch is a row of a matrix, and the matrix product needs no transposed copy.

A gradient `g` is that of the loss and has the shape of its array. `name_backward` takes the gradient of the result of
`name` and returns the gradients of its arguments.
"""
