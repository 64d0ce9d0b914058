"""Networks as data: the records, the notation, the named networks. Nothing here imports torch.

`striate.nets.summary.summarize` counts parameters and makes the layer table; `striate.nets.pytorch.build` makes the torch module.
"""

from striate.nets.config import NetworkConfig
from striate.nets.graph.from_layers import network_graph
from striate.nets.notation import parse, write
from striate.nets.resolved import ResolvedLayer, all_layers
from striate.nets.zoo import NETWORKS

__all__ = ["NETWORKS", "NetworkConfig", "ResolvedLayer", "all_layers", "network_graph", "parse", "write"]
