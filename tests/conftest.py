"""Shared fixtures: every public signature is type-checked, and `x64` runs one test in double precision."""

import jax
import pytest
from jaxtyping import install_import_hook

install_import_hook("retrojax", "beartype.beartype").__enter__()


@pytest.fixture
def x64():
    """Double precision for the duration of one test."""
    with jax.enable_x64(True):
        yield
