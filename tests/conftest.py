"""Shared fixtures: public signatures are type-checked, `x64` is double precision, and most tests compile fast.

Most of the time of these tests would go into XLA's compilation of code that runs once. Modules that hold two
programs to the same bits are marked `optimised` and compile as users do; all others compile without it.
"""

import jax
import pytest
from jax._src import compiler
from jaxtyping import install_import_hook

install_import_hook("retrojax", "beartype.beartype").__enter__()

jax.config.update("jax_num_cpu_devices", 7)
"""For networks that are cut among devices; everything else runs on the first."""

UNOPTIMISED = {"xla_backend_optimization_level": "0"}
if jax.__version_info__ < (0, 11):  # later versions have no other emitters
    UNOPTIMISED["xla_cpu_use_fusion_emitters"] = "False"

_options = compiler.get_compile_options
_fast = False


def _compile_options(*given, env_options_overrides=None, **named):
    more = UNOPTIMISED if _fast else {}
    return _options(*given, env_options_overrides={**more, **(env_options_overrides or {})} or None, **named)


compiler.get_compile_options = _compile_options


@pytest.fixture(autouse=True, scope="module")
def compiled(request):
    """Compiles the tests of a module as it asks for; what an earlier one compiled goes, for memory's sake as well."""
    global _fast
    jax.clear_caches()
    _fast = not any(mark.name == "optimised" for mark in request.node.iter_markers())
    yield


@pytest.fixture
def x64():
    """Double precision for the duration of one test."""
    with jax.enable_x64(True):
        yield
