"""The PyTorch engine keeps the promises of every engine."""

from tests.contracts.engine import EngineContract


class TestTorch(EngineContract):
    engine = "torch"
    checkpoint = "last.pt"
