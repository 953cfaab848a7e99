"""Clusters of spines on real branches, the profile of plasticity around them, and its fit to many data sets at once."""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optimistix

from retrojax.errors import InputError, naming_file
from retrojax.fit.data import Column, column_numbers, column_texts
from retrojax.fit.table import read_table
from retrojax.space import point_response, point_steady
from retrojax.testing import say_unused

SOURCES, SITES = 5, 40
TIMES_MS = np.array([250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0])
A, K_NM, FRACTION, OFFSET_UM, NOISE = 0.5, 100.0, 0.2, 0.3, 0.1


class Layout(NamedTuple):
    """Distances from every readout synapse to every source [um], and the place of the readouts from the cluster."""

    distance: np.ndarray
    place: np.ndarray


def read_branches(path: Path, protocols: Path | None = None) -> list[tuple[np.ndarray, np.ndarray]]:
    """(position [um], is excitatory) of the synapses of every branch that has enough of them."""
    say_unused(protocols, "branches have no protocol label")
    branches: dict[str, list[tuple[float, bool]]] = {}
    with naming_file(path.name):
        table = read_table(path, ("branch", "synapse_type", "um_along_branch"))
        place = column_numbers(table, "um_along_branch", Column("um_along_branch"))[:, 0].tolist()
        names, kinds = (column_texts(table, name, Column(name)) for name in ("branch", "synapse_type"))
        if unknown := sorted({kind for kind in kinds if not kind.startswith(("exc", "inh"))}):
            raise InputError("synapse_type", ", ".join(unknown), "excitatory_spine, inhibitory_shaft",
                             "leave these synapses out")
    for name, x, kind in zip(names, place, kinds, strict=True):
        branches.setdefault(name, []).append((x, kind.startswith("exc")))
    arrays = [(np.array([x for x, _ in rows]), np.array([e for _, e in rows])) for rows in branches.values()]
    found = [pair for pair in arrays if pair[0].size >= SITES + SOURCES and pair[1].sum() >= SOURCES]
    if not found:
        raise InputError("branch", f"{len(arrays)} branches", f"one with {SITES + SOURCES} synapses, {SOURCES} of them "
                         "excitatory", "give a longer branch", path.name)
    return found


def draw_layout(branches, rng: np.random.Generator) -> Layout:
    """A random cluster of neighbouring spines, and the synapses around it."""
    x, excitatory = branches[rng.integers(len(branches))]
    spines = np.sort(x[excitatory])
    first = rng.integers(spines.size - SOURCES + 1)
    cluster = spines[first : first + SOURCES]
    places = np.flatnonzero(excitatory)[np.argsort(x[excitatory], kind="stable")][first : first + SOURCES]
    others = np.delete(x, places)
    nearest = others[np.argsort(np.abs(others - cluster.mean()), kind="stable")[:SITES]]
    return Layout(np.hypot(nearest[:, None] - cluster, OFFSET_UM), nearest - cluster.mean())


def over_time(u, distance):
    """Change of every synapse at every time, [sites, times]."""
    Q, k, D = jnp.exp(u)
    amount = point_response(distance[..., None], jnp.asarray(TIMES_MS), Q, D, k).sum(-2) / FRACTION
    return A * amount / (amount + K_NM)


def steady(u, distance):
    """Change of every synapse in the steady state; u = ln (Q/D, sqrt(k/D))."""
    ratio, reach = jnp.exp(u)
    amount = point_steady(distance, ratio, 1.0, reach**2).sum(-1) / FRACTION
    return A * amount / (amount + K_NM)


def fit_many(predict, distance, data, start):
    """Estimate and standard deviation of every coordinate, for many data sets at once."""
    method = optimistix.LevenbergMarquardt(rtol=1e-8, atol=1e-8)

    def one(d, y):
        residual = lambda u, _: (predict(u, d) - y).ravel() / NOISE  # noqa: E731
        u = optimistix.least_squares(residual, method, start, max_steps=200, throw=False).value
        slopes = jax.jacfwd(lambda v: residual(v, None))(u)
        return u, jnp.sqrt(jnp.diag(jnp.linalg.inv(slopes.T @ slopes)))

    return [np.asarray(x) for x in jax.jit(jax.vmap(one))(distance, data)]
