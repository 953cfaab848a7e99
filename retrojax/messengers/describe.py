"""A record as rows of a table, for printing."""

from typing import NamedTuple

from retrojax.messengers.reading import sourced_values
from retrojax.messengers.record import MessengerRecord


class Row(NamedTuple):
    """One line: dotted `parameter`, `value` in `unit`, plausible `range`, `status`, and `source` as text."""

    parameter: str
    value: float
    unit: str
    range: tuple[float, float] | None
    status: str
    source: str


def describe_record(record: MessengerRecord) -> list[Row]:
    """Every number of a record in its own unit, then what follows from them (D*, reach, rate) as `computed`."""
    rows = [
        Row(path, entry.number, entry.unit, entry.range, entry.status,
            ": ".join(text for text in (", ".join(entry.source.keys), entry.source.note) if text))
        for path, entry in sourced_values(record)
    ]
    base = record.base()
    derived = [
        ("effective_diffusion", 1e3 * base.effective_diffusion, "um^2/s", "diffusion / tortuosity^2"),
        ("reach", base.reach, "um", "sqrt(effective_diffusion / all loss at low concentration)"),
    ]
    if record.synthesis is not None:
        formula = record.synthesis.rate_from
        unit = "molecules/nM" if formula == "V_spine" else "molecules/s"
        rate = base.rate if formula == "V_spine" else 1e3 * base.rate
        derived.append(("synthesis.rate", rate, unit, f"{formula}, per spine"))
    return rows + [Row(name, value, unit, None, "computed", source) for name, value, unit, source in derived]
