"""Tables of pairing experiments between neurons: one protocol with mean and SEM per row."""

import math
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from retrojax.engine.events import stack_tables
from retrojax.engine.own_spine import ticks_between
from retrojax.errors import InputError
from retrojax.fit.pathways import PathwayOutcome
from retrojax.fit.problem import Problem
from retrojax.fit.table import read_table
from retrojax.protocols import Protocol, bursts

PROTOCOL = ("frequency_train", "dt_train", "n_stimuli_train", "n_sweep", "period_sweep")
NEEDED = ("protocol_id", "pre_mtype", "post_mtype", *PROTOCOL, "mean_epsp_ratio", "sem_epsp_ratio", "reference")


class PairingRow(NamedTuple):
    """One measured protocol.

    - `label`, `pathway` (`PRE>POST`), `paper`. `block`: MK-801 in the presynaptic pipette.
    - `rate` [Hz], `delta_t` = t_post - t_pre [ms], `protocol`: the spike times.
    - `mean`, `sem`: strength after / before.
    """

    label: str
    pathway: str
    paper: str
    block: bool
    rate: float
    delta_t: float
    protocol: Protocol
    mean: float
    sem: float


def read_pairing_table(path: Path, protocols: Path | None = None) -> list[PairingRow]:
    """Rows of a CSV file with the columns `NEEDED` and optionally `notes`.

    A sweep holds `n_stimuli_train` pairs at `frequency_train` Hz, the postsynaptic spike `dt_train` ms after its
    presynaptic one; there are `n_sweep` sweeps, one every `period_sweep` s. Rows that the notes call pooled and that
    share paper and `dt_train` are one measurement: their SEM is widened by the root of their number.

    **Arguments**

    - `path`: the file. `protocols`: a second CSV file that gives the columns of `PROTOCOL` by `protocol_id`, for a file
      that names its protocols only by that label.

    **Raises** `InputError` for a column that is missing, a label without protocol, a value that is no finite
    number, and a standard error that is not positive.
    """
    records = _records(path)
    if protocols is not None:
        known = {record["protocol_id"]: record for record in _records(protocols)}
        unknown = [r["protocol_id"] for r in records if r["protocol_id"] not in known]
        if unknown:
            raise InputError(f"{path.name}.protocol_id", unknown[0], ", ".join(known), "add it to the protocol file")
        records = [{**known[r["protocol_id"]], **{k: v for k, v in r.items() if v != ""}} for r in records]
    missing = [name for name in NEEDED if name not in records[0]]
    if missing:
        cure = "add the column" + (", or a protocol file" if missing[0] in PROTOCOL and protocols is None else "")
        raise InputError(f"{path.name}.{missing[0]}", "absent", "a column of that name", cure)
    pooled = [_pool(record) for record in records]
    return [_row(record, 1 if pool is None else pooled.count(pool)) for record, pool in
            zip(records, pooled, strict=True)]


def pairing_problem(
    rows: list[PairingRow], pathways: tuple[str, ...], groups: str = "paper", ticks: bool = True
) -> Problem:
    """The rows as a problem for `Pathways` models; call it under `jax.enable_x64(True)`.

    **Arguments**

    - `pathways`: names in the order of a model's gains.
    - `groups`: `paper` leaves papers out in turn, `none` nothing.
    - `ticks`: cut long gaps (`ticks_between`), which models without messengers do not need.

    **Raises** `InputError` for a row of another pathway.
    """
    for row in rows:
        if row.pathway not in pathways:
            raise InputError(f"{row.label}.pathway", row.pathway, ", ".join(pathways), "leave it out, or fit it too")
    tables = stack_tables([tuple(r.protocol) for r in rows],
                          [ticks_between(r.protocol) if ticks else () for r in rows])
    number = jnp.asarray([pathways.index(row.pathway) for row in rows])
    return Problem(
        mean=np.array([r.mean for r in rows]), sem=np.array([r.sem for r in rows]),
        predict=PathwayOutcome(tables, number, jnp.asarray([r.block for r in rows])),
        labels=tuple(r.label for r in rows), x=np.array([r.rate for r in rows]),
        series=tuple(r.pathway for r in rows),
        groups=tuple(r.paper if groups == "paper" else "all" for r in rows),
        is_data=np.ones(len(rows), bool), x_label="pairing rate [Hz]", y_label="strength after / before",
    )


def _records(path: Path) -> list[dict[str, str]]:
    table = read_table(path, ("protocol_id",))
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


def _pool(record: dict[str, str]) -> tuple[str, str] | None:
    return (record["reference"], record["dt_train"]) if "Pooled" in (record.get("notes") or "") else None


def _row(record: dict[str, str], pooled: int) -> PairingRow:
    label = record["protocol_id"]

    def number(name: str) -> float:
        try:
            value = float(record[name] or "nan")
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise InputError(f"{label}.{name}", record[name], "a finite number", "correct the file, or drop the row")
        return value

    for name in ("sem_epsp_ratio", "frequency_train", "period_sweep"):
        if number(name) <= 0:
            raise InputError(f"{label}.{name}", record[name], "a positive number", "correct the file, or drop the row")
    rate, lag = number("frequency_train"), number("dt_train")
    for name in ("n_stimuli_train", "n_sweep"):
        if number(name) < 1 or number(name) % 1 != 0:
            raise InputError(f"{label}.{name}", record[name], "a whole number, 1 or more", "correct the row")
    protocol = bursts(rate, lag, int(number("n_stimuli_train")), int(number("n_sweep")), 1000 * number("period_sweep"))
    return PairingRow(label, f"{record['pre_mtype']}>{record['post_mtype']}", record["reference"],
                      "MK-801" in (record.get("notes") or ""), rate, lag, protocol, number("mean_epsp_ratio"),
                      number("sem_epsp_ratio") * pooled**0.5)
