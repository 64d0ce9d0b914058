"""The named networks and the families.

A named network is its `NetworkConfig` data with its source and the images that it was published for: `network: resnet20`
in a study file means the entry here, and what is given beside the name overrides it (`{base: resnet20, norm: none}`). A family
makes a network from a few numbers, which are keys of `NetworkConfig`, so that a grid can cross them.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from striate.core.errors import NetworkError
from striate.nets.layers import Shape


@dataclass(frozen=True, kw_only=True)
class NamedNetwork:
    """One network with its source, and the images and classes of its published figures."""

    config: dict[str, Any]
    source: str
    input_shape: Shape = (3, 32, 32)
    classes: int = 10


NETWORKS: dict[str, NamedNetwork] = {
    "report-a": NamedNetwork(
        config={"layers": "conv32k2s2p0 pool conv10k2s2p0 pool conv10k2s2p0", "head": "none"},
        input_shape=(1, 32, 32),
        source=(
            "A course report on CNNs for CIFAR-10 in gray, question 1: 1,860 parameters. Its text says 64 "
            "filters; its own sum, and the count, need 32."
        ),
    ),
    "report-a-3d": NamedNetwork(
        config={"layers": "conv128s2 pool(2,2,1) conv256s2 pool(2,2,1) conv10s2", "head": "none", "dims": 3},
        source=(
            "The same report, question 2: the RGB image as a volume 1x32x32x3. The channels are not given; "
            "128-256-10 gives the 957,706 parameters that fit its 'about 1 million'."
        ),
    ),
    "report-b": NamedNetwork(
        config={"family": "blocks", "depth": 3, "block_depth": 3, "filters": 64},
        source=(
            "A course report on blocks of conv layers, its best network: 3 blocks of 3 conv layers with skips and"
            " one fc. The filters are not given; 64, 128, 256 is our choice."
        ),
    ),
    "report-b-fc": NamedNetwork(
        config={"family": "shallow", "filters": 6},
        source=(
            "The same report, one conv layer straight to an fc layer: 'about 60,000' parameters; 6 filters give 61,618."
        ),
    ),
    "report-b-gap": NamedNetwork(
        config={"family": "shallow", "filters": 16, "head": "gap"},
        source=(
            "The same report, one conv layer, global average pool, fc: 'about 600' parameters; 16 filters give 618."
        ),
    ),
    "report-c": NamedNetwork(
        config={"family": "stack", "conv": 7, "fc": 3, "norm": "batch"},
        source=(
            "A course report on CNNs for CIFAR-10, its final network: 7 conv layers of 100 to 700 filters, fc "
            "100, 200, 10, batch norm."
        ),
    ),
    "report-c-transfer": NamedNetwork(
        config={"torchvision": "alexnet", "pretrained": True, "freeze": "all-but-head"},
        input_shape=(3, 224, 224),
        classes=2,
        source=(
            "The same report, transfer learning on ants and bees: AlexNet with ImageNet weights, its last layer "
            "replaced, the rest frozen (freeze: none trains all layers)."
        ),
    ),
    "report-d": NamedNetwork(
        config={"layers": "conv64 pool conv128 pool conv256 conv256 pool fc1024 fc1024"},
        source="A course report on CNNs for CIFAR-10 (2017), questions 1 and 2: 6,216,074 parameters.",
    ),
    "report-e": NamedNetwork(
        config={"layers": "conv256 pool drop0.2 conv128 pool drop0.2 conv64p0 pool flatten fc256 fc128"},
        input_shape=(3, 256, 256),
        classes=6,
        source="A course report on six classes of landscape at 256x256, question 1: 16,154,950 parameters.",
    ),
    "lenet5": NamedNetwork(
        config={"layers": "conv6k5p0 avgpool conv16k5p0 avgpool conv120k5p0 fc84", "activation": "tanh"},
        input_shape=(1, 32, 32),
        source=(
            "LeCun et al., Gradient-based learning applied to document recognition (1998), doi:10.1109/5.726791, "
            "as it is built today: full connections between the maps, plain average pools, softmax: 61,706 "
            "parameters."
        ),
    ),
    "vgg11": NamedNetwork(
        config={
            "layers": "conv64 pool conv128 pool conv256 conv256 pool conv512 conv512 pool conv512 conv512 pool",
            "norm": "batch",
        },
        source=(
            "Simonyan and Zisserman (2014), arXiv:1409.1556, configuration A for 32x32 images: batch norm, and "
            "one fc layer in place of three."
        ),
    ),
    "vgg16": NamedNetwork(
        config={
            "layers": "conv64 conv64 pool conv128 conv128 pool 3xconv256 pool 3xconv512 pool 3xconv512 pool",
            "norm": "batch",
        },
        source=(
            "Simonyan and Zisserman (2014), arXiv:1409.1556, configuration D for 32x32 images: batch norm, and "
            "one fc layer in place of three."
        ),
    ),
    "resnet20": NamedNetwork(
        config={
            "layers": "conv16 3xres(conv16 conv16) res(conv32s2 conv32) 2xres(conv32 conv32) res(conv64s2 conv64) 2xres(conv64 conv64)",
            "norm": "batch",
            "bias": False,
            "init": "kaiming_normal",
            "head": "gap",
        },
        source=(
            "He et al., Deep residual learning (2015), arXiv:1512.03385, section 4.2, with 1x1 convolutions where"
            " the shape changes (option B of the paper, 272,474 parameters; its CIFAR runs had option A, "
            "269,722)."
        ),
    ),
    "all-conv": NamedNetwork(
        config={
            "layers": "drop0.2 conv96 conv96 conv96s2 drop0.5 conv192 conv192 conv192s2 drop0.5 conv192 conv192k1",
            "head": "gap",
        },
        source=(
            "Springenberg et al., Striving for simplicity (2014), arXiv:1412.6806, All-CNN-C: strides in place of"
            " pools. Its last 1x1 convolution comes after the average here, which is the same sum without the "
            "last relu."
        ),
    ),
    "speedrun": NamedNetwork(
        config={
            "layers": "conv24k2p0:whiten,gelu conv64:dirac pool batch gelu conv64:dirac batch gelu conv256:dirac pool batch gelu"
            " conv256:dirac batch gelu conv256:dirac pool batch gelu conv256:dirac batch gelu pool3",
            "activation": "none",
            "bias": False,
            "freeze": "up-to conv1",
            "logit_scale": 0.1111,
        },
        source=(
            "After the eight-layer network of the public CIFAR-10 speed runs (Jordan, 94% on CIFAR-10 in 3.29 seconds, "
            "arXiv:2404.00498), for color images. Among what differs: its norms' scales learn, its first layer has no bias, and"
            " its classifier has one."
        ),
    ),
    "resnet20-preact": NamedNetwork(
        config={
            "layers": "conv16 3xres(batch relu conv16 batch relu conv16)"
            " res(batch relu conv32s2 batch relu conv32 | conv32k1s2) 2xres(batch relu conv32 batch relu conv32)"
            " res(batch relu conv64s2 batch relu conv64 | conv64k1s2) 2xres(batch relu conv64 batch relu conv64)"
            " batch relu",
            "activation": "none",
            "bias": False,
            "init": "kaiming_normal",
            "head": "gap",
        },
        source=(
            "He et al., Identity mappings in deep residual networks (2016), arXiv:1603.05027: norm and relu before "
            "each convolution, nothing after the sum. The paper's networks are deeper."
        ),
    ),
}


# Pools follow the second and the last conv layer, as in the final network of report C.
_FIRST_POOL_AFTER = 2
# A skip around a single layer does not help against vanishing gradients.
_SKIP_FROM = 2


def stack(conv: int = 2, fc: int = 1, step: int = 100) -> str:
    """`conv` conv layers of step, 2 step, 3 step, ... filters; `fc` fc layers likewise, of which the last is the classifier.

    A 2x2 max pool follows the second conv layer and the last.
    """
    words: list[str] = []
    for number in range(1, conv + 1):
        words.append(f"conv{number * step}")
        if number in {_FIRST_POOL_AFTER, conv}:
            words.append("pool")
    return " ".join([*words, *(f"fc{number * step}" for number in range(1, fc))])


def blocks(depth: int = 2, block_depth: int = 2, filters: int = 32, skip: bool = True) -> str:
    """`depth` blocks of `block_depth` conv layers and a 2x2 max pool; the filters double from block to block.

    `skip` adds a block's input to its output, where the block has two conv layers or more.
    """
    words: list[str] = []
    for number in range(depth):
        convs = " ".join([f"conv{filters * 2**number}"] * block_depth)
        words += [f"res({convs})" if skip and block_depth >= _SKIP_FROM else convs, "pool"]
    return " ".join(words)


def shallow(filters: int = 16) -> str:
    """One conv layer and no pool; the key `head` decides how its map reaches the classifier."""
    return f"conv{filters}"


FAMILIES: dict[str, Callable[..., str]] = {"stack": stack, "blocks": blocks, "shallow": shallow}


def write_family(name: str, numbers: Mapping[str, Any]) -> str:
    """The layers of family `name` with these numbers.

    Raises:
        NetworkError: for a number that the family does not have.
    """
    keys = list(inspect.signature(FAMILIES[name]).parameters)
    for key in numbers:
        if key not in keys:
            raise NetworkError(f"the family '{name}' has no {key}; its numbers are {', '.join(keys)}")
    return FAMILIES[name](**numbers)
