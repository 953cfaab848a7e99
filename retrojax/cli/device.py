"""Which device a command runs on. JAX chooses; nothing here is an error unless the user forced a device."""

import enum
import os
import re

import jax

from retrojax.errors import InputError

BAD_SCATTER = ((0, 10, 2), (0, 11, 0))
"""jaxlib releases, first and last, whose GPU scatter-add is known to be wrong or slow."""


class Device(enum.StrEnum):
    """Choice of `--device`."""

    auto = "auto"
    cpu = "cpu"
    gpu = "gpu"


def choose(device: Device, cores: int = 1) -> str:
    """Set the device before JAX starts; returns one line that says what runs where.

    - `cores`: as how many devices a CPU counts (`network.devices`).

    **Raises** `InputError` if a GPU is asked for and none can be used.
    """
    if cores > 1:
        os.environ.setdefault("NPROC", "1")  # a thread for each; XLA reads it once, when its CPU client starts
        jax.config.update("jax_num_cpu_devices", cores)
    if device is Device.cpu:
        jax.config.update("jax_platforms", "cpu")
        return "Running on the CPU, as asked."
    try:
        found = jax.devices("gpu") if device is Device.gpu else jax.devices()
    except RuntimeError as error:
        if device is Device.gpu:
            raise InputError("--device", "gpu", "cpu or auto on this machine",
                             f"install retrojax[cuda13] or retrojax[cuda12] ({str(error).splitlines()[0]})") from None
        jax.config.update("jax_platforms", "cpu")
        found = jax.devices("cpu")
    if found[0].platform == "cpu":
        return "No usable GPU: running on the CPU."
    return f"Running on {found[0].device_kind}." + (f" {warning}" if (warning := scatter_warning()) else "")


def scatter_warning() -> str | None:
    """A warning if this jaxlib is one of the known-bad ones for GPU scatter-add."""
    version = tuple(int(part) for part in re.findall(r"\d+", jax.lib.__version__)[:3])
    if BAD_SCATTER[0] <= version <= BAD_SCATTER[1]:
        return (f"Warning: jaxlib {jax.lib.__version__} has a known-bad scatter-add on GPUs. Runs use sorted "
                "deterministic sums instead; gradients through deposits may be slow.")
    return None
