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
    "V_spine": {"V_spine": "um^3"},
    "rate": {"rate": "molecules/ms"},
    "share * rate": {"share": "1", "rate": "molecules/ms"},
}
"""Formulas for the synthesis rate of one spine at full activation, and the terms that each needs, in base units."""


SYNTHESIS_KINDS: dict[str, dict[str, str]] = {
    "hill": {"half_activation": "uM", "hill": "1", "tau": "ms", "ca_scale": "uM"},
    "coincidence": {"half_activation": "uM", "hill": "1", "ca_scale": "uM", "v_max": "nM/ms", "K_r": "uM", "K_p": "uM",
                    "K_pi": "uM", "glu_peak": "uM", "tau_glu": "ms", "v_receptor": "nM/ms", "v_delta": "nM/ms",
                    "K_delta": "uM", "v_lipase": "nM/ms", "K_dag": "uM", "k_dag": "1/ms"},
    "train": {"half_activation": "uM", "hill": "1", "ca_scale": "uM", "tau_r": "ms", "rate_half": "1/ms",
              "rate_hill": "1"},
    "vesicular": {"theta": "uM", "theta_max": "uM", "tau": "ms", "ca_scale": "uM", "tau_memory": "ms",
                  "memory_step": "1", "memory_gate": "1"},
    "constitutive": {},
}
"""Ways to make a messenger, each a part `<kind>_synthesis`; the numbers it needs besides its rate, in base units."""


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
    """How a spine makes the messenger; by default Q = rate * h, tau dh/dt = Ca^n/(K^n + Ca^n) - h.

    - `kind`: one of `SYNTHESIS_KINDS`, which lists the numbers that each needs; those of `hill` have fields of their
      own: `half_activation` K [uM calcium], `hill` n, `tau` [time], `ca_scale`, calcium per unit of a rule's
      dimensionless calcium [uM]. `more`: the others.
    - `rate_from`: one of the formulas of `RATE_TERMS`; `terms`: the numbers that it needs.
    """

    kind: str = "hill"
    half_activation: _quantity("uM", 1e-6, 1e6) | None = None
    hill: _quantity("1", 0.1, 20) | None = None
    tau: _quantity("ms", 0, 1e9) | None = None
    ca_scale: _quantity("uM", 1e-6, 1e6) | None = None
    more: dict[str, Sourced] = {}
    rate_from: str
    terms: dict[str, Sourced]

    @model_validator(mode="after")
    def _terms_fit(self) -> "Synthesis":
        require_known(self.rate_from, RATE_TERMS, "rate_from")
        require_known(self.kind, SYNTHESIS_KINDS, "kind")
        _check_table(self.terms, RATE_TERMS[self.rate_from], "terms")
        wanted = SYNTHESIS_KINDS[self.kind]
        _check_table(self.more, {name: unit for name, unit in wanted.items() if name not in _OWN_FIELDS}, "more")
        missing = [f"terms.{name}" for name in RATE_TERMS[self.rate_from] if name not in self.terms]
        missing += [name if name in _OWN_FIELDS else f"more.{name}" for name in wanted if name not in self.numbers()]
        if missing:
            raise InputError(missing[0], "missing", f"every number of kind '{self.kind}' and rate '{self.rate_from}'",
                             "add it")
        return self

    def numbers(self) -> dict[str, float]:
        """What the kind needs besides the rate, in base units."""
        given = {name: getattr(self, name) for name in _OWN_FIELDS} | self.more
        return {name: given[name].to(unit) for name, unit in SYNTHESIS_KINDS[self.kind].items()
                if given.get(name) is not None}


_OWN_FIELDS = ("half_activation", "hill", "tau", "ca_scale")


class Saturable(Frozen):
    """Michaelis-Menten loss Vmax c / (Km + c) of the concentration c: `vmax` [concentration/time], `km`."""

    vmax: _quantity("nM/ms", 0, 1e9)
    km: _quantity("nM", 1e-9, 1e12)


class Binding(Frozen):
    """Sites that hold the messenger back: `sites` [nM], `on_rate`, `off_rate`; they change time courses, not the reach.

    A run has those that its config names under the messenger's `binding`.
    """

    sites: _quantity("nM", 0, 1e12)
    on_rate: _quantity("1/(nM*ms)", 0, 1e6)
    off_rate: _quantity("1/ms", 0, 1e6)


class MessengerBase(NamedTuple):
    """A record's numbers in base units: um^2/ms, 1/ms, molecules/ms, ms, nM; calcium in uM.

    Without synthesis in spines `kind` is `none` and `rate` 0. Numbers that the kind has no use for are those of a gate
    that is always open. `more`: what kinds other than `hill` need.
    """

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
    vmax: float = 0.0
    km: float = 1.0
    tonic: float = 0.0
    kind: str = "hill"
    more: Mapping[str, float] = {}

    @property
    def effective_diffusion(self) -> float:
        """D* = D / tortuosity^2 [um^2/ms] (Sykova & Nicholson 2008)."""
        return self.diffusion_free / self.tortuosity**2

    @property
    def reach(self) -> float:
        """sqrt(D*/k) [um]: the distance over which a steady concentration falls e-fold beyond 1/r; inf without loss.

        k is all loss at low concentration, `loss` + Vmax/Km.
        """
        loss = self.loss + self.vmax / self.km
        return (self.effective_diffusion / loss) ** 0.5 if loss > 0 else float("inf")


class MessengerRecord(Frozen):
    """One messenger: how it spreads, how it is lost, how a spine makes it and what it binds to.

    - `space`: `tissue` (crosses membranes; volume fraction 1) or `ecs`.
    - `diffusion` (free D), `tortuosity`, `volume_fraction`, `loss` (first order), `step` (recommended field step).
    - `saturable`: Michaelis-Menten loss besides. `binding`: sites by name.
    - `tonic`: concentration kept up by sources that are not modelled [nM]; a run starts there.
    - `synthesis`: none if spines do not make it. `sources`: numbers of sources that are not spines (glia, neurons), as
      given. `enabled`: false for a record too uncertain for use without a second thought; `check` says so.
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
    enabled: bool = True
    saturable: Saturable | None = None
    binding: dict[str, Binding] = {}
    tonic: _quantity("nM", 0, 1e12) | None = None
    synthesis: Synthesis | None = None
    sources: dict[str, Sourced] = {}
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
        made, lost = self.synthesis, self.saturable
        numbers = {} if made is None else made.numbers()
        neutral = zip(_OWN_FIELDS, (1.0, 1.0, 0.0, 1.0), strict=True)
        own = {name: numbers.pop(name, default) for name, default in neutral}
        return MessengerBase(
            name=self.name, diffusion_free=self.diffusion.to("um^2/ms"), tortuosity=self.tortuosity.to("1"),
            volume_fraction=self.volume_fraction.to("1"), loss=self.loss.to("1/ms"), sink_kind=self.sink_kind,
            step=self.step.to("ms"), rate=synthesis_rate(self), **own,
            vmax=0.0 if lost is None else lost.vmax.to("nM/ms"), km=1.0 if lost is None else lost.km.to("nM"),
            tonic=0.0 if self.tonic is None else self.tonic.to("nM"), kind="none" if made is None else made.kind,
            more=numbers)

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
    602.214 molecules per uM um^3; `V_spine` alone: molecules per nM made in the spine, for schemes that follow
    concentrations. `rate`: given as such; `share * rate`: what falls to this messenger of what is released together.
    0 if spines do not make it.
    """
    made = record.synthesis
    if made is None:
        return 0.0
    terms = {name: made.terms[name].to(unit) for name, unit in RATE_TERMS[made.rate_from].items()}
    if made.rate_from == "N_nos * k_cat":
        return terms["N_nos"] * terms["k_cat"]
    if made.rate_from == "V_spine * S":
        return MOLECULES_PER_NM_UM3 * terms["V_spine"] * terms["S"]
    if made.rate_from == "V_spine":
        return MOLECULES_PER_NM_UM3 * terms["V_spine"]
    return terms["rate"] * terms.get("share", 1.0)
