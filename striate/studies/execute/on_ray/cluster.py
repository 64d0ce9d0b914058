"""The connection to a Ray cluster, and what its nodes have. Whatever can be refused before a run begins is refused here."""

import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from striate.core.errors import StudyError
from striate.core.optional import require
from striate.core.processes import cpu_count
from striate.studies.execute.on_ray import remote
from striate.studies.execute.on_ray.options import PREFIX, RayOptions, host_and_port
from striate.studies.execute.on_ray.versions import difference, own_versions, probe_versions

OLDEST = (2, 50)
ADDRESS = "RAY_ADDRESS"
AUTH = "RAY_AUTH_MODE"
CONNECT_SECONDS = 5.0
# What a node may take to start a process and answer.
ANSWER_SECONDS = 120.0
NODE_ID = "ray.io/node-id"
ACCELERATOR = "ray.io/accelerator-type"


@dataclass(frozen=True, kw_only=True)
class Node:
    """A machine of the cluster."""

    id: str
    host: str
    cpus: float
    gpus: float
    kind: str = ""
    """Its processor and GPU: runs have the same bits on nodes of one kind."""

    def slots(self, cpus: float, gpus: float) -> int:
        """How many runs with these needs it takes at once."""
        return int(min(self.cpus / cpus, self.gpus / gpus if gpus else self.cpus / cpus) + 1e-6)


@contextmanager
def connected(options: RayOptions) -> Iterator[Any]:
    """The module `ray`, connected. What was connected or started here is left or ended with the context.

    Raises:
        MissingExtra: when Ray is not installed.
        StudyError: when it is too old, or when there is no cluster at the address.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # for what is started here: nothing is sent to anyone
    ray = require("ray", extra="ray", why="--on ray")
    if tuple(map(int, version("ray").split(".")[:2])) < OLDEST:
        raise StudyError(f"--on ray: needs Ray {'.'.join(map(str, OLDEST))} or newer, got {version('ray')}; upgrade it")
    if ray.is_initialized():
        yield ray
        return
    address = options.address or os.environ.get(ADDRESS, "")
    with _kept_handlers():
        _connect(ray, address)
    try:
        yield ray
    finally:
        ray.shutdown()


def _connect(ray: Any, address: str) -> None:
    quiet = {"log_to_driver": False, "logging_level": "CRITICAL"}
    if not address or address == "local":
        # "local", because without an address Ray connects to any cluster that was started on this machine.
        ray.init(address="local", num_cpus=cpu_count(), include_dashboard=False, **quiet)
        return
    logging.getLogger("ray").setLevel(logging.CRITICAL)  # what matters is an exception too
    if address != "auto":
        _check_listening(address)
    try:
        ray.init(address=address, **({} if address.startswith(PREFIX) else quiet))
    except ImportError as error:
        raise StudyError(
            f"--on {address}: an address with {PREFIX} needs grpcio: pip install 'striate[ray]'"
        ) from error
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        reason = (
            lines[0] if len(lines) == 1 else f"{lines[0]} {lines[-1]}"
        )  # a traceback of the server has the cause at its end
        cure = "" if AUTH in os.environ else f"; if it asks for a token, set {AUTH}=token"
        raise StudyError(f"--on ray: cannot connect to the cluster at {address} ({reason:.300}){cure}") from error


def _check_listening(address: str) -> None:
    host, port = host_and_port(address)
    try:
        socket.create_connection((host, port), CONNECT_SECONDS).close()
    except OSError as error:
        cure = "start one with 'ray start --head', or leave the address out to use this machine alone"
        raise StudyError(f"--on ray: no cluster at {address} ({error.strerror or error}); {cure}") from error


@contextmanager
def _kept_handlers() -> Iterator[None]:
    """Ray takes SIGTERM over when it connects; the study needs it to save its runs."""
    is_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM) if is_main else None
    try:
        yield
    finally:
        if handler is not None:
            signal.signal(signal.SIGTERM, handler)


def living_nodes(ray: Any) -> list[Node]:
    """The machines of the cluster as they are now, without their kinds."""
    return [
        Node(
            id=node["NodeID"],
            host=node["NodeManagerHostname"] or node["NodeManagerAddress"],
            cpus=node["Resources"].get("CPU", 0.0),
            gpus=node["Resources"].get("GPU", 0.0),
            kind=node.get("Labels", {}).get(ACCELERATOR, ""),
        )
        for node in ray.nodes()
        if node["Alive"]
    ]


def head_node(ray: Any) -> str:
    """The id of the node that the cluster cannot lose."""
    heads = [node["NodeID"] for node in ray.nodes() if "node:__internal_head__" in node["Resources"]]
    return heads[0] if heads else ray.nodes()[0]["NodeID"]


def needs(options: RayOptions, nodes: Sequence[Node], device: str) -> tuple[float, float]:
    """The CPUs and GPUs of a run.

    Raises:
        StudyError: when no node has them.
    """
    most_cpus = max((node.cpus for node in nodes), default=0.0)
    most_gpus = max((node.gpus for node in nodes), default=0.0)
    gpus = options.gpus_per_run
    if gpus is None:
        gpus = 1.0 if most_gpus >= 1 and device in {"auto", "cuda"} else 0.0
    for option, wanted, most, word in (
        ("--cpus-per-run", options.cpus_per_run, most_cpus, "CPU"),
        ("--gpus-per-run", gpus, most_gpus, "GPU"),
    ):
        if wanted > most:
            has = f"{most:g} {word}{'s' * (most != 1)}"
            raise StudyError(
                f"{option}: must fit on a node, got {wanted:g}, and the largest node of the cluster has {has}"
            )
    if not any(node.slots(options.cpus_per_run, gpus) for node in nodes):
        raise StudyError(
            f"--cpus-per-run: no node of the cluster has {options.cpus_per_run:g} CPUs and {gpus:g} GPUs together; ask for less"
        )
    return options.cpus_per_run, gpus


def survey(ray: Any, nodes: Sequence[Node]) -> list[Node]:
    """The nodes with their kinds, once each has the versions of this process.

    Raises:
        StudyError: for a node with other versions, or one that does not answer.
    """
    here = own_versions()
    for node, there in zip(nodes, _ask(ray, nodes, probe_versions(), [()] * len(nodes)), strict=True):
        if differs := difference(there, here):
            raise StudyError(
                f"--on ray: node {node.host} of the cluster has {differs}; install the same versions everywhere, "
                "because they decide the last bits"
            )
    kinds = _ask(ray, nodes, remote.node_facts, [()] * len(nodes))
    return [
        Node(
            id=node.id,
            host=node.host,
            cpus=node.cpus,
            gpus=node.gpus,
            kind=" with ".join(filter(None, (kind, node.kind))),
        )
        for node, kind in zip(nodes, kinds, strict=True)
    ]


@contextmanager
def probed_storage(ray: Any, nodes: Sequence[Node], folder: Path, wanted: str) -> Iterator[Path | None]:
    """The file that tells a node whether it sees the results' folder; None: not all do, so files are copied.

    Raises:
        StudyError: when the storage is to be shared and is not.
    """
    if wanted == "copied":
        yield None
        return
    while not folder.exists():
        folder = folder.parent
    token = f".striate-probe-{secrets.token_hex(8)}"
    names = [f"{token}-{node.id[:16]}" for node in nodes]
    try:
        (folder / token).write_text(token, encoding="utf-8")
        saw = _ask(ray, nodes, remote.see_storage, [(str(folder), token, name) for name in names])
        blind = [
            node.host
            for node, name, sees in zip(nodes, names, saw, strict=True)
            if not (sees and (folder / name).exists())
        ]
        if blind and wanted == "shared":
            raise StudyError(
                f"--storage shared: node {blind[0]} does not see {folder}, or may not write there; "
                "choose an --out that all nodes mount, or --storage copied"
            )
        yield None if blind else folder / token
    finally:
        for path in folder.glob(f"{token}*"):
            path.unlink(missing_ok=True)


def _ask(ray: Any, nodes: Sequence[Node], function: Any, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
    """What a function returns on each node."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    asked = ray.remote(num_cpus=0, max_retries=1)(function)
    answers = [
        asked.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False)).remote(*values)
        for node, values in zip(nodes, arguments, strict=True)
    ]
    found = []
    for node, reference in zip(nodes, answers, strict=True):
        try:
            found.append(ray.get(reference, timeout=ANSWER_SECONDS))
        except ray.exceptions.RayError as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            raise StudyError(
                f"--on ray: node {node.host} of the cluster does not answer ({type(error).__name__}: {reason:.200}); "
                "take it out of the cluster, or mend it"
            ) from error
    return found
