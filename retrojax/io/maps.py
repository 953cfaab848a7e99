"""Maps of the extracellular space from an `.npz` file, as factors on the numbers of each messenger in it.

- `volume_fraction`, `tortuosity`: values per voxel; both required. Large molecules are hindered more than small ones:
  `tortuosity.BDNF` is for that messenger alone and goes before the common map.
- `loss`, `uptake`: optional factors on the loss of messengers whose record calls their sink `bulk` (chemistry in the
  fluid) or `surface` (uptake u per tissue volume, which the fluid feels as u/volume_fraction); 1 is the record's rate.
  `loss.BDNF` or `uptake.dopamine` is for that messenger alone and goes before the common one. Gases, which are not in
  that space, follow a map of their own name only (`loss.NO`).
"""

import zipfile
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from retrojax.engine.model import Maps
from retrojax.errors import InputError
from retrojax.space import Grid, Medium
from retrojax.validation import proposal

ALLOWED = {"volume_fraction": (0.01, 1.0), "tortuosity": (1.0, 10.0), "loss": (0.0, 1e6), "uptake": (0.0, 1e6)}
"""Range of each map."""


def load_maps(path: Path, grid: Grid, messengers: list[str]) -> dict[str, np.ndarray]:
    """The arrays of a file of maps, checked.

    **Raises** `InputError` naming the map, if it is unknown, missing or not of the grid's shape, or the first voxel
    with a value out of range.
    """
    field = f"grid.maps.file ({path.name})"
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, zipfile.BadZipFile, AttributeError, TypeError):
        raise InputError(field, str(path), "an .npz file of arrays", "write it with numpy.savez") from None
    known = [*ALLOWED, *(f"{kind}.{name}" for kind in ("tortuosity", "loss", "uptake") for name in messengers)]
    for name in ("volume_fraction", "tortuosity"):
        if name not in arrays:
            raise InputError(field, f"no array '{name}'", "volume_fraction and tortuosity", f"add the map {name}")
    for name, values in arrays.items():
        if name not in known:
            raise InputError(f"{field}.{name}", "unknown map", ", ".join(known),
                             proposal(name, known, "remove it or correct its name"))
        arrays[name] = _checked(f"{field}.{name}", values, grid, *ALLOWED[name.split(".")[0]])
    return arrays


def _checked(field: str, values: np.ndarray, grid: Grid, low: float, high: float) -> np.ndarray:
    if values.dtype.kind not in "fiu":
        raise InputError(field, f"dtype {values.dtype}", "real numbers", "store it as float")
    if values.shape != grid.shape:
        raise InputError(field, f"shape {values.shape}", f"shape {grid.shape}, one value per voxel of the grid",
                         "match the map to the grid, e.g. by grid.shape, grid.origin and grid.spacing")
    wrong = np.argwhere(~((values >= low) & (values <= high)))
    if wrong.size:
        place = tuple(int(x) for x in wrong[0])
        raise InputError(f"{field}[{', '.join(map(str, place))}]", f"{values[place]:g}", f"{low:g} to {high:g}",
                         "correct the map")
    return values.astype(float)


def mapped(values: dict[str, dict], arrays: dict[str, np.ndarray]) -> tuple[dict[str, dict], dict[str, Maps]]:
    """Messengers with the maps' means as their numbers, and the maps as factors on those; of gases the loss alone.

    Sinks of the record keep what they mean: the rate of a surface is per tissue volume, u = loss x volume_fraction of
    the record. A volume fraction or tortuosity of the config or record gives way to the map's.

    **Raises** `InputError` for a map of one messenger that does not act on it.
    """
    fraction = arrays["volume_fraction"]
    found, maps = {}, {}
    for name, given in values.items():
        gas = given["space"] != "ecs"
        key = "uptake" if given["sink_kind"] == "surface" else "loss"
        _refuse_idle(name, key, gas, arrays)
        if gas:
            found[name] = given
            if f"{key}.{name}" in arrays:
                found[name], maps[name] = _lost(given, arrays[f"{key}.{name}"])
            continue
        tortuosity = arrays.get(f"tortuosity.{name}", arrays["tortuosity"])
        factor = arrays.get(f"{key}.{name}", arrays.get(key, np.ones_like(fraction)))
        sink = factor * given["volume_fraction"] / fraction if key == "uptake" else factor
        means = float(fraction.mean()), float(tortuosity.mean()), float(sink.mean())
        found[name] = given | {
            "volume_fraction": means[0], "tortuosity": means[1], "loss": given["loss"] * means[2],
            "vmax": given["vmax"] * means[2], "diffusion": given["diffusion_free"] / means[1] ** 2}
        relative = sink / means[2] if means[2] > 0 else np.ones_like(sink)
        maps[name] = Maps(*(jnp.asarray(a, float) for a in (fraction / means[0], tortuosity / means[1], relative)))
    return found, maps


def _lost(given: dict, factor: np.ndarray) -> tuple[dict, Maps]:
    """A gas whose loss alone differs between voxels: its numbers and maps."""
    mean = float(factor.mean())
    relative = factor / mean if mean > 0 else np.ones_like(factor)
    one = jnp.ones(factor.shape)
    return (given | {"loss": given["loss"] * mean, "vmax": given["vmax"] * mean},
            Maps(one, one, jnp.asarray(relative, float)))


def _refuse_idle(name: str, key: str, gas: bool, arrays: dict[str, np.ndarray]) -> None:
    """Refuse a map of this messenger that would do nothing."""
    other = "loss" if key == "uptake" else "uptake"
    if f"{other}.{name}" in arrays:
        raise InputError(f"grid.maps.file.{other}.{name}", f"no {other} to act on",
                         f"{key}.{name}, as the sink_kind of the messenger says", f"call the map {key}.{name}")
    if gas and f"tortuosity.{name}" in arrays:
        raise InputError(f"grid.maps.file.tortuosity.{name}", "a gas, not hindered by the extracellular space",
                         f"{key}.{name} at most", "remove it")


def plain_maps(shape: tuple[int, ...]) -> Maps:
    """Maps of a medium without differences."""
    one = jnp.ones(shape)
    return Maps(one, one, one)


def free_medium(values: dict, maps: Maps) -> Medium:
    """The medium of one messenger relative to its D*, for `work_needed`."""
    rate = values["loss"] * maps.sink
    return Medium(maps.fraction, maps.tortuosity, rate if maps.drain is None else rate + maps.drain, jnp.zeros(()))


def check_room(values: dict[str, dict], maps: dict[str, Maps], fractions: dict[str, float]) -> None:
    """Refuse a mean volume fraction, of a messenger or of sleep stages by name, that would fill a voxel beyond the
    brim."""
    widest = max((float(jnp.max(m.fraction)) for m in maps.values()), default=0.0)
    for name, v in values.items():
        most = v["volume_fraction"] * (float(jnp.max(maps[name].fraction)) if name in maps else 1.0)
        if most > 1 + 1e-6:
            raise InputError(f"messengers.{name}.volume_fraction", f"{most:.3g} where there is least matrix",
                             "at most 1", "lower it, or grid.matrix.swelling")
    for stage, fraction in fractions.items():
        if fraction * widest > 1:
            raise InputError(f"sleep.stages.{stage}.volume_fraction", f"{fraction:g}",
                             f"at most {1 / widest:.3g} on these maps, whose widest voxel has {widest:.3g} of the mean",
                             "lower it or even out the map")
