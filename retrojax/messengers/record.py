"""What is known about a messenger, as data: every number with its unit, its range and where it comes from."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from retrojax.errors import InputError
from retrojax.units import MOLECULES_PER_NM_UM3, check_range, to_unit
from retrojax.validation import require_known

Status = Literal["published", "computed", "calibration", "unverified"]

RECEPTOR_UNITS: dict[str, dict[str, str]] = {
    "sGC": {"ec50": "nM", "k_off": "1/ms", "V_GC": "uM/ms", "k_PDE": "1/ms", "K_PKG": "uM", "n_PKG": "1"},
    "CB1": {"alpha": "1/(nM*ms)", "beta": "1/ms", "gamma": "1/ms", "epsilon": "1/ms", "drive_gain": "1",
            "drive_offset": "1", "eff_kon": "1/(nM*ms)", "eff_koff": "1/ms", "phi_glu": "1", "phi_gaba": "1",
            "ltd_lo": "1", "ltd_hi": "1", "ltp_lo": "1", "A_ltd": "1", "A_ltp": "1", "tau_scale": "ms",
            "tau_floor": "1", "tau_power": "1", "tau_least": "ms", "tau_offset": "1", "n_ca": "1"},
}
"""Parameters that a record may give for a receptor with a rule of its own, and the base unit of each."""

RATE_TERMS: dict[str, dict[str, str]] = {
    "N_nos * k_cat": {"N_nos": "1", "k_cat": "1/ms"},
    "V_spine * S": {"V_spine": "um^3", "S": "nM/ms"},
    "rate": {"rate": "molecules/ms"},
}
"""Formulas for the synthesis rate of one spine at full activation, and the terms that each needs, in base units."""


class Frozen(BaseModel):
    """Data that does not change; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Source(Frozen):
    """Where a value comes from: citation `keys`, and a `note` of one sentence."""

    keys: tuple[str, ...] = ()
    note: str = ""


class Sourced(Frozen):
    """A number that says how far it can be trusted.

    - `value`: a number in `unit`, or text with a unit of the same kind.
    - `range`: lowest and highest plausible value, in `unit`.
    - `status`: `published` (read in a source), `computed` (from published numbers), `calibration` (a choice, not a
      measurement) or `unverified` (its source was not opened; never a target).
    - `source`: citation keys and a note; a published or computed value needs a key, the others a note or a key.
    """

    value: float | str
    unit: str
    range: tuple[float, float] | None = None
    status: Status
    source: Source

    @field_validator("value", mode="before")
    @classmethod
    def _plain(cls, value: object) -> object:
        # YAML 1.1 reads "no" as false and "1e-9" as text; a text that is a number stands in `unit` like any number.
        if isinstance(value, bool):
            raise InputError("value", value, "a number or text with a unit", "write a number")
        try:
            return float(value) if isinstance(value, str) else value
        except ValueError:
            return value

    @model_validator(mode="after")
    def _consistent(self) -> "Sourced":
        if not self.source.keys and (self.status in ("published", "computed") or not self.source.note):
            allowed = "at least one citation key" if self.status in ("published", "computed") else "a key or a note"
            raise InputError("source", "nothing", allowed, "say where the value comes from, or change its status")
        if self.range is not None:
            low, high = self.range
            if low > high:
                raise InputError("range", list(self.range), "[low, high] with low <= high", "exchange the two numbers")
            check_range(self.number, low, high, self.unit, "value")
        return self

    @property
    def number(self) -> float:
        """The value in its own `unit`."""
        return to_unit(self.value, self.unit, "value")

    def to(self, unit: str, field: str = "value") -> float:
        """The value in `unit`. **Raises** `InputError` if `unit` is of another kind."""
        text = self.value if isinstance(self.value, str) else f"{self.value!r} {self.unit}"
        return to_unit(text, unit, field)


def _quantity(unit: str, low: int | float, high: int | float) -> Any:
    """A `Sourced` that must convert to `unit` and lie in [low, high] there."""

    def check(sourced: Sourced) -> Sourced:
        check_range(sourced.to(unit), float(low), float(high), unit, "value")
        return sourced

    return Annotated[Sourced, AfterValidator(check)]


class Synthesis(Frozen):
    """How a spine makes the messenger: Q = rate * h, tau dh/dt = Ca^n/(K^n + Ca^n) - h.

    - `half_activation` K [uM calcium], `hill` n, `tau` [time].
    - `ca_scale`: calcium per unit of a rule's dimensionless calcium [uM].
    - `rate_from`: one of the formulas of `RATE_TERMS`; `terms`: the numbers that it needs.
    """

    half_activation: _quantity("uM", 1e-6, 1e6)
    hill: _quantity("1", 0.1, 20)
    tau: _quantity("ms", 0, 1e9)
    ca_scale: _quantity("uM", 1e-6, 1e6)
    rate_from: str
    terms: dict[str, Sourced]

    @model_validator(mode="after")
    def _terms_fit(self) -> "Synthesis":
        require_known(self.rate_from, RATE_TERMS, "rate_from")
        _check_table(self.terms, RATE_TERMS[self.rate_from], "terms")
        missing = [name for name in RATE_TERMS[self.rate_from] if name not in self.terms]
        if missing:
            raise InputError(f"terms.{missing[0]}", "missing", f"every term of '{self.rate_from}'", "add this term")
        return self


class MessengerBase(NamedTuple):
    """A record's numbers in base units: um^2/ms, 1/ms, molecules/ms, ms; calcium in uM."""

    name: str
    diffusion_free: float
    tortuosity: float
    volume_fraction: float
    loss: float
    sink_kind: str
    step: float
    half_activation: float
    hill: float
    rate: float
    tau: float
    ca_scale: float

    @property
    def effective_diffusion(self) -> float:
        """D* = D / tortuosity^2 [um^2/ms] (Sykova & Nicholson 2008)."""
        return self.diffusion_free / self.tortuosity**2

    @property
    def reach(self) -> float:
        """sqrt(D*/k) [um]: the distance over which a steady concentration falls e-fold beyond 1/r; inf without loss."""
        return (self.effective_diffusion / self.loss) ** 0.5 if self.loss > 0 else float("inf")


class MessengerRecord(Frozen):
    """One messenger: how it spreads, how it is lost, how a spine makes it and what it binds to.

    - `space`: `tissue` (crosses membranes; volume fraction 1) or `ecs`.
    - `diffusion` (free D), `tortuosity`, `volume_fraction`, `loss` (first order), `step` (recommended field step).
    - `sink_kind`: `bulk` if `loss` is chemistry in the fluid, `surface` if it is uptake (u = loss * volume_fraction).
    - `receptors`: tables of numbers; those of sGC and CB1 have fixed names and units (`RECEPTOR_UNITS`).
    - `references`: BibTeX fields of citation keys that the package does not know.

    Concentrations are in nM, calcium in uM.

    References: Nicholson (2001) Rep Prog Phys 64:815; Sykova & Nicholson (2008) Physiol Rev 88:1277.
    """

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    name: str
    family: Literal["gas", "lipid", "protein", "peptide", "nucleoside", "amino acid", "ion"]
    space: Literal["tissue", "ecs"]
    diffusion: _quantity("um^2/ms", 0, 1e4)
    tortuosity: _quantity("1", 1, 10)
    volume_fraction: _quantity("1", 0.01, 1)
    loss: _quantity("1/ms", 0, 1e3)
    sink_kind: Literal["bulk", "surface"]
    step: _quantity("ms", 1e-6, 1e6)
    synthesis: Synthesis
    receptors: dict[str, dict[str, Sourced]] = {}
    references: dict[str, dict[str, str | int]] = {}

    @model_validator(mode="after")
    def _consistent(self) -> "MessengerRecord":
        if self.space == "tissue" and self.volume_fraction.to("1") != 1:
            raise InputError("volume_fraction", self.volume_fraction.to("1"), "1 where space is 'tissue'",
                             "set it to 1, or space to 'ecs'")
        for name, table in self.receptors.items():
            if name in RECEPTOR_UNITS:
                _check_table(table, RECEPTOR_UNITS[name], f"receptors.{name}")
        return self

    def base(self) -> MessengerBase:
        """Transport and synthesis as plain floats in base units."""
        made = self.synthesis
        return MessengerBase(
            name=self.name, diffusion_free=self.diffusion.to("um^2/ms"), tortuosity=self.tortuosity.to("1"),
            volume_fraction=self.volume_fraction.to("1"), loss=self.loss.to("1/ms"), sink_kind=self.sink_kind,
            step=self.step.to("ms"), half_activation=made.half_activation.to("uM"), hill=made.hill.to("1"),
            rate=synthesis_rate(self), tau=made.tau.to("ms"), ca_scale=made.ca_scale.to("uM"))

    def receptor(self, name: str) -> dict[str, float]:
        """Numbers of one receptor: base units for sGC and CB1, as written for others.

        **Raises** `InputError` if the record has no such receptor.
        """
        require_known(name, self.receptors, f"{self.id}.receptors")
        units = RECEPTOR_UNITS.get(name, {})
        return {key: entry.to(units.get(key, entry.unit)) for key, entry in self.receptors[name].items()}


def _check_table(table: Mapping[str, Sourced], units: Mapping[str, str], field: str) -> None:
    for name, entry in table.items():
        require_known(name, units, f"{field}.{name}")
        check_range(entry.to(units[name], f"{field}.{name}"), 0.0, float("inf"), units[name], f"{field}.{name}")


def synthesis_rate(record: MessengerRecord) -> float:
    """Molecules per ms that one spine makes with its enzyme fully active.

    `N_nos * k_cat`: enzymes times turnover. `V_spine * S`: spine volume times the concentration made per time, which is
    602.214 molecules per uM um^3. `rate`: given as such.
    """
    made = record.synthesis
    terms = {name: made.terms[name].to(unit) for name, unit in RATE_TERMS[made.rate_from].items()}
    if made.rate_from == "N_nos * k_cat":
        return terms["N_nos"] * terms["k_cat"]
    if made.rate_from == "V_spine * S":
        return MOLECULES_PER_NM_UM3 * terms["V_spine"] * terms["S"]
    return terms["rate"]
