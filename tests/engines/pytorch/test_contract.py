"""The torch engine keeps the promises of every engine."""

import pytest

from striate.engines.pytorch.engine import train as by_torch
from tests.contracts.engine import EngineContract


class TestTorch(EngineContract):
    engine = "torch"

    @pytest.fixture
    def train(self):
        return by_torch
