"""The extracellular matrix of a config, and bodies in the tissue with a medium of their own: nets and vessels.

What differs from voxel to voxel ends as maps of each messenger, factors on its numbers, on top of those from a file.
"""

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from retrojax.engine.model import Maps, Matrix, Soaked
from retrojax.errors import InputError
from retrojax.io.maps import plain_maps
from retrojax.io.schema import RunConfig
from retrojax.io.space_schema import BodySection, MatrixSection
from retrojax.space import Binding, Grid, checked_density, covered, matrix_factors
from retrojax.validation import proposal

Values = dict[str, dict[str, Any]]


def in_matrix(
    config: RunConfig, grid: Grid, values: Values, maps: dict[str, Maps]
) -> tuple[Values, dict[str, Maps], Matrix | None]:
    """Messengers in the matrix and the regions of a config: numbers, maps, and what enzymes may digest.

    **Arguments** `values`, `maps`: numbers of the messengers, and those on maps already.

    **Raises** `InputError` for a density out of range or of another shape, a body outside the box, a kind of site or a
    messenger that the model lacks.
    """
    section = config.grid.matrix or MatrixSection()
    names = [name for name, v in values.items() if v["space"] == "ecs"]
    density, reached = _density(config, section, grid), _reached(section, grid)
    values, maps = dict(values), dict(maps)
    soaked = []
    plain = not (density.ndim or reached.ndim) and density == 1
    for name in names:
        kinds = [place for place, kind in enumerate(config.messengers[name].binding) if kind in section.sites]
        soaked.append(Soaked(list(values).index(name), values[name]["sink_kind"] == "surface", tuple(kinds)))
        if plain:
            continue
        values[name], found = _soak(values[name], maps.get(name), grid, density, reached, section, kinds)
        if found is not None:
            maps[name] = found
    _known_sites(config, section)
    values, maps = _drained(config, grid, values, maps)
    if not names:
        return values, maps, None
    number = lambda x: jnp.asarray(x, float)  # noqa: E731
    return values, maps, Matrix(number(density), number(reached), number(section.swelling), number(section.easing),
                                number(0.0), number(0.0), tuple(soaked))


def filled(grid: Grid, body: BodySection, field: str) -> np.ndarray:
    """Share of every voxel in a body. **Raises** `InputError` if none of it is in the box."""
    share = covered(grid, body.at, body.at if body.to is None else body.to, body.radius, body.hollow)
    if not share.any():
        box = ", ".join(f"{axis} {low:g} to {high:g}" for axis, (low, high) in zip("xyz", grid.extent, strict=True))
        raise InputError(field, f"a body at {list(body.at)} um", f"one inside the box: {box} um",
                         "move it, or set the box by grid.shape and grid.origin")
    return share


def _density(config: RunConfig, section: MatrixSection, grid: Grid) -> np.ndarray:
    """Density of the matrix: one number, or a map."""
    field = "grid.matrix.density"
    if isinstance(section.density, Path):
        try:
            density = np.load(section.density, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            raise InputError(field, str(section.density), "a .npy file", "write it with numpy.save") from None
        if not isinstance(density, np.ndarray) or density.dtype.kind not in "fiu" or density.shape != grid.shape:
            raise InputError(field, f"{getattr(density, 'dtype', '')} of shape {getattr(density, 'shape', None)}",
                             f"real numbers of shape {grid.shape}, one per voxel of the grid",
                             "match it to the grid, e.g. by grid.shape, grid.origin and grid.spacing")
    else:
        density = np.asarray(section.density)
    density = checked_density(density, field)
    for number, region in enumerate(config.grid.regions):
        if region.density is not None:
            share = filled(grid, region, f"grid.regions.{number}")
            density = density + share * (region.density - density)
    return density


def _reached(section: MatrixSection, grid: Grid) -> np.ndarray:
    """Share of every voxel that enzymes get to."""
    if section.digested_in is None:
        return np.ones(())
    shares = [filled(grid, body, f"grid.matrix.digested_in.{number}")
              for number, body in enumerate(section.digested_in)]
    return np.minimum(sum(shares, np.zeros(grid.shape)), 1.0)


def _soak(
    given: dict[str, Any], maps: Maps | None, grid: Grid, density: np.ndarray, reached: np.ndarray,
    section: MatrixSection, kinds: list[int],
) -> tuple[dict[str, Any], Maps | None]:
    """One messenger's numbers and maps in the matrix; no maps where nothing differs, now or under an enzyme."""
    wider, slower = matrix_factors(density, section.swelling, section.easing)
    surface = given["sink_kind"] == "surface"
    if maps is None and (density.ndim or reached.ndim):
        maps = plain_maps(grid.shape)
    sink = 1 / wider if surface else np.ones_like(wider)
    if maps is not None:
        fraction, slower = np.asarray(maps.fraction) * wider, np.asarray(maps.tortuosity) * slower
        sink = np.asarray(maps.sink) * sink
        wider, slowest, lost = fraction.mean(), slower.mean(), sink.mean()
        one, two, three = (jnp.asarray(f / mean if mean > 0 else np.ones_like(f), float)
                           for f, mean in ((fraction, wider), (slower, slowest), (sink, lost)))
        maps, slower, sink = Maps(one, two, three, maps.drain), slowest, lost
    sites = tuple(_with_sites(site, density) if place in kinds else site
                  for place, site in enumerate(given["binding"]))
    tortuosity = given["tortuosity"] * float(slower)
    return given | {
        "volume_fraction": given["volume_fraction"] * float(wider), "tortuosity": tortuosity,
        "diffusion": given["diffusion_free"] / tortuosity**2, "loss": given["loss"] * float(sink),
        "vmax": given["vmax"] * float(sink), "binding": sites}, maps


def _with_sites(site: Binding, density: np.ndarray) -> Binding:
    return Binding(site.sites * jnp.asarray(density, float), site.k_on, site.k_off, site.internalisation,
                   site.recycling)


def _known_sites(config: RunConfig, section: MatrixSection) -> None:
    """Refuse a site that is named as the matrix's and is none of any messenger's, unless it is the default."""
    known = {kind for m in config.messengers.values() for kind in m.binding}
    for kind in section.sites:
        if kind not in known and section.sites != MatrixSection().sites:
            raise InputError("grid.matrix.sites", kind, f"sites of the config: {', '.join(sorted(known)) or 'none'}",
                             proposal(kind, sorted(known), "add it under binding of a messenger"))


def _drained(
    config: RunConfig, grid: Grid, values: Values, maps: dict[str, Maps]
) -> tuple[Values, dict[str, Maps]]:
    """Messengers with what regions take away besides."""
    for number, region in enumerate(config.grid.regions):
        field = f"grid.regions.{number}"
        if region.density is None and not region.loss:
            raise InputError(field, "neither density nor loss", "at least one of them", "say what differs there")
        share = filled(grid, region, field)
        for name, rate in region.loss.items():
            if name not in values:
                raise InputError(f"{field}.loss.{name}", "no such messenger", ", ".join(values) or "none",
                                 proposal(name, list(values), "add it under messengers"))
            old = maps.get(name, plain_maps(grid.shape))
            drain = jnp.asarray(share * rate, float)
            maps[name] = Maps(old.fraction, old.tortuosity, old.sink, drain if old.drain is None else old.drain + drain)
    return values, maps
