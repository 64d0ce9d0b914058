"""Random layers and networks for hypothesis: small, and with everything that the notation can say."""

from hypothesis import strategies as st

from striate.nets import NetworkConfig, write
from striate.nets.layers import (
    Activate,
    AveragePool,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    LayerOverrides,
    Normalize,
    Pool,
    Residual,
    Subsample,
)

NORMS = ("none", "batch", "layer", "group", "instance")
ACTIVATIONS = ("none", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "sigmoid", "tanh")
INITS = ("default", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal", "lecun", "orthogonal")
MAYBE = st.sampled_from([None, True, False])


def sizes(low, high, dims):
    size = st.integers(low, high)
    return st.one_of(size, size, st.tuples(*[size] * dims))


def layer_overrides(norms=NORMS):
    return st.one_of(
        st.just(LayerOverrides()),
        st.builds(
            lambda norm, groups, **rest: LayerOverrides(
                norm=norm, norm_groups=groups if norm == "group" else None, **rest
            ),
            norm=st.sampled_from([None, *norms]),
            groups=st.sampled_from([None, 1, 2, 4]),
            norm_position=st.sampled_from([None, "before", "after"]),
            activation=st.sampled_from([None, *ACTIVATIONS]),
            init=st.sampled_from([None, *INITS]),
            bias=MAYBE,
            zero_bias=MAYBE,
        ),
    )


def convs(dims):
    # Four divides every number of channels here, so any of these groups fits.
    return st.builds(
        Conv,
        filters=st.sampled_from([4, 8, 12]),
        kernel=sizes(1, 3, dims),
        stride=sizes(1, 2, dims),
        dilation=sizes(1, 2, dims),
        groups=st.sampled_from([1, 1, 2, 4]),
        padding=st.one_of(st.none(), sizes(0, 2, dims)),
        overrides=layer_overrides(),
    )


def pools(kind, dims):
    stride = st.one_of(st.none(), sizes(1, 2, dims))
    return st.builds(kind, kernel=sizes(2, 3, dims), stride=stride, padding=st.integers(0, 1))


def residuals(dims):
    """Blocks whose shapes fit: kernels that keep the size, and one stride for the body and its shortcut."""
    plain = st.builds(
        Conv, filters=st.sampled_from([4, 8]), kernel=st.sampled_from([1, 3]), overrides=layer_overrides()
    )

    def block(first, others, stride, last, written, activation):
        body = (first.replace(stride=stride), *others, last)
        shortcut = (Conv(filters=last.filters, kernel=1, stride=stride, padding=0),) if written else ()
        return Residual(body=body, shortcut=shortcut, activation=activation)

    few = st.lists(plain, max_size=1)
    return st.builds(
        block, plain, few, st.sampled_from([1, 2]), plain, st.booleans(), st.sampled_from([None, *ACTIVATIONS])
    )


def layers_on_a_map(dims):
    return st.one_of(
        convs(dims),
        convs(dims),
        pools(Pool, dims),
        pools(AveragePool, dims),
        st.builds(Subsample, size=sizes(1, 2, dims)),
        residuals(dims),
        st.builds(Normalize, norm=st.sampled_from(NORMS[1:]), groups=st.just(None)),
        st.builds(Normalize, norm=st.just("group"), groups=st.sampled_from([1, 2, 4])),
        st.builds(Activate, activation=st.sampled_from(ACTIVATIONS[1:])),
        st.builds(Dropout, share=st.floats(0, 1, exclude_min=True, exclude_max=True)),
    )


def dense():
    return st.builds(Dense, units=st.sampled_from([4, 8]), overrides=layer_overrides())


def ends():
    """What turns a map into values."""
    permuted = st.builds(Flatten, permutation=st.one_of(st.none(), st.integers(0, 99)))
    return st.one_of(st.just(()), st.just((GlobalPool(),)), permuted.map(lambda layer: (layer,)))


@st.composite
def layer_lists(draw, dims):
    maps = draw(st.lists(layers_on_a_map(dims), min_size=1, max_size=4))
    return (*maps, *draw(ends()), *draw(st.lists(dense(), max_size=2)))


@st.composite
def networks(draw):
    dims = draw(st.sampled_from([2, 3]))
    return NetworkConfig(
        layers=write(draw(layer_lists(dims))),
        dims=dims,
        norm=draw(st.sampled_from(NORMS)),
        norm_groups=draw(st.sampled_from([1, 2, 4])),
        norm_position=draw(st.sampled_from(["before", "after"])),
        activation=draw(st.sampled_from(ACTIVATIONS)),
        bias=draw(st.booleans()),
        width=draw(st.sampled_from([1.0, 1.0, 2.0])),
        linear=draw(st.sampled_from([False, False, False, True])),
    )
