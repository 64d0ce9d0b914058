"""The array libraries that every operation must run on."""

import pytest

from striate.engines.scratch.library import library


@pytest.fixture(params=["numpy", "array_api_strict"])
def xp(request):
    return library(request.param)
