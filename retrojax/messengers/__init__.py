"""Messengers as data: a YAML file per messenger, every number with its unit, range, status and source.

`load_record("NO")` or `load_record("mine.yaml")` reads one; `catalogue()` lists those that come with the package. A new
messenger needs a file and no code.
"""

from retrojax.messengers.citations import bibtex as bibtex, references as references
from retrojax.messengers.describe import Row as Row, describe_record as describe_record
from retrojax.messengers.reading import (
    RECORD_SUFFIXES as RECORD_SUFFIXES,
    catalogue as catalogue,
    cited_keys as cited_keys,
    load_record as load_record,
    sourced_values as sourced_values,
)
from retrojax.messengers.record import (
    SYNTHESIS_KINDS as SYNTHESIS_KINDS,
    Binding as Binding,
    MessengerBase as MessengerBase,
    MessengerRecord as MessengerRecord,
    Saturable as Saturable,
    Source as Source,
    Sourced as Sourced,
    Synthesis as Synthesis,
    synthesis_rate as synthesis_rate,
)

__all__ = [
    "Binding", "MessengerBase", "MessengerRecord", "RECORD_SUFFIXES", "Row", "SYNTHESIS_KINDS", "Saturable", "Source",
    "Sourced", "Synthesis", "bibtex", "catalogue", "cited_keys", "describe_record", "load_record", "references",
    "sourced_values", "synthesis_rate",
]
