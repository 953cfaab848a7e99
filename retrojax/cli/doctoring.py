"""`retrojax doctor`: is this installation sound?"""

import platform
import time
from importlib.metadata import version

import jax
import jax.numpy as jnp
from rich.console import Console

from retrojax import native
from retrojax.cli.device import Device, choose, scatter_warning
from retrojax.engine.events import run_events, spike_table
from retrojax.engine.rows import Synapse, init_state
from retrojax.numerics import Draws
from retrojax.parts import TsodyksMarkram, calcium_rule
from retrojax.protocols import pairs

PACKAGES = (
    "retrojax", "jax", "jaxlib", "equinox", "optimistix", "orbax-checkpoint", "numpy", "zarr", "xarray", "pydantic",
)


def examine(console: Console) -> bool:
    """Print versions, devices and warnings, run a synapse through 60 pairings; True if all is well."""
    console.print(f"python {platform.python_version()} on {platform.platform()}", highlight=False)
    console.print("  ".join(f"{name} {version(name)}" for name in PACKAGES), highlight=False)
    console.print(choose(Device.auto))
    console.print("devices: " + ", ".join(f"{d.platform}:{d.id} {d.device_kind}" for d in jax.devices()))
    if jax.devices()[0].platform == "gpu" and (warning := scatter_warning()):
        console.print(warning, style="yellow")
    missing = native.status()
    console.print("data movement on the CPU: " + (f"plain JAX, networks run 5-10 times slower ({missing})" if missing
                                                  else "compiled C"), highlight=False)
    began = time.monotonic()
    rho = _smoke()
    sound = 0.4 < rho < 0.6 and rho != 0.5
    console.print(f"smoke run: 60 pairings at 1 Hz moved rho from 0.5 to {rho:.4f} in {time.monotonic() - began:.1f} s"
                  ": " + ("sound" if sound else "[red]WRONG[/]"), highlight=False)
    return sound


def _smoke() -> float:
    spine, rule = calcium_rule("cortical_slices")
    synapse = Synapse(spine, TsodyksMarkram(), (rule,))
    table, draws = spike_table(*pairs(60, 1.0, 10.0)), Draws(jax.random.key(0), jnp.zeros((), jnp.int32))
    final = jax.jit(lambda s: run_events(s, init_state(s, ()), table, draws)[0])(synapse)
    return float(final.rules[0].rho)
