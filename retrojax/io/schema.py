"""The config of a run as pydantic models: one field per thing a user may say, units converted once."""

from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, model_validator

from retrojax.errors import InputError
from retrojax.io.space_schema import GridSection, Length, Margin
from retrojax.messengers import RECORD_SUFFIXES
from retrojax.parts.choice import PartChoice, Section, check_start, quantity
from retrojax.protocols.pharmacology import find_drug, read_dose

Duration = quantity("ms", 1e-3, 1e12)
Time = quantity("ms", 0.0, 1e12)
Probability = quantity("1", 0.0, 1.0)
Factor = quantity("1", 0.0, 1e6)


class Network(Section):
    """Where the circuit comes from, and what its unit-less weights mean."""

    sonata: Path = Field(description="SONATA circuit config, relative to this file")
    weight_scale: quantity("pA", 0, 1e6) = Field(description="pA per unit of syn_weight, at full release")
    input_delay: Duration = Field(2.0, description="delay of edges that carry none")
    plastic: dict[str, str] = Field({"ei": "e"}, description="attributes of source cells whose synapses are plastic")
    plastic_edges: list[str] | None = Field(None, description="edge populations that may be plastic; all by default")
    schedule: Literal["auto", "lazy", "clocked"] = Field(
        "auto", description="lazy: a synapse when spikes reach it; clocked: all, every dt; auto: lazy if parts allow")
    devices: int = Field(1, ge=1, le=4096, description="how many share the network (lazy schedule); on a CPU, cores")
    input_headroom: quantity("1", 1, 1e6) = Field(16.0, description="room kept in the fixed-point input of a neuron")


class Replayed(Section):
    """Recorded spikes of a source population, looped."""

    spikes: Path
    population: str
    loop: Duration = Field(description="length of the loop; later spikes are dropped")


class PoissonSource(Section):
    """Independent Poisson sources."""

    population: str
    rate: quantity("1/ms", 0, 1e3)


class Background(Section):
    """Input to every simulated neuron from thousands of independent sources outside, as one Poisson process each."""

    rate: quantity("1/ms", 0, 1e4) = Field(description="of all its inputs together, per neuron")
    amplitude: quantity("pA", 0, 1e6) = Field(description="of each input")


class Drive(Section):
    """Activity of the source population: exactly one of replay, poisson; and a background besides, if wanted."""

    replay: Replayed | None = None
    poisson: PoissonSource | None = None
    background: Background | None = None


class Placement(Section):
    """Where spines sit, as circuit files rarely say: a seeded cloud around the soma of the postsynaptic cell."""

    distribution: Literal["exponential", "uniform_ball", "gaussian"] = "exponential"
    scale: Length = 15.0
    bouton_distance: Length = 0.1


class SynapseSection(Section):
    """The plastic synapse."""

    p_release: Probability = 0.5
    q: Factor = 1.0
    p_range: tuple[Probability, Probability] = (0.01, 0.95)
    q_range: tuple[Factor, Factor] = (0.0, 2.0)
    up_fraction: Probability | None = Field(None, description="seeded fraction that starts at rho = 1, the rest at 0")
    spine: PartChoice
    release: PartChoice
    rules: list[PartChoice]
    placement: Placement = Placement()

    @model_validator(mode="after")
    def _start_within_ranges(self) -> "SynapseSection":
        check_start(self.p_release, self.p_range, self.q, self.q_range)
        return self


class BindingSection(Section):
    """A kind of site, fixed in the tissue, that binds a messenger reversibly (`retrojax.space.Binding`).

    `{HSPG: {}}` takes the numbers of the record's site of that name; what is given here goes before them.
    """

    sites: quantity("nM", 0, 1e12) | None = Field(None, description="per tissue volume")
    on_rate: quantity("1/(nM*ms)", 0, 1e6) | None = Field(None, description="on the concentration in the fluid")
    off_rate: quantity("1/ms", 1e-12, 1e6) | None = None
    internalisation: quantity("1/ms", 0, 1e3) = Field(0.0, description="of what is bound; the messenger is lost")
    recycling: quantity("1/ms", 0, 1e3) = Field(0.0, description="of sites inside, back to the surface, empty")


class MessengerSection(Section):
    """A messenger by its record, with values that override the record's.

    `record`: a name of the catalogue, or a YAML file of one's own, relative to the config's folder.
    `synthesis`: the part by which spines make it, in place of the record's; `none` if they do not.
    """

    record: str
    step: Duration | None = None
    diffusion: quantity("um^2/ms", 0, 1e4) | None = None
    loss: quantity("1/ms", 0, 1e3) | None = None
    tortuosity: quantity("1", 1, 10) | None = None
    volume_fraction: quantity("1", 0.01, 1) | None = None
    half_activation: quantity("uM", 1e-6, 1e6) | None = None
    hill: quantity("1", 0.1, 20) | None = None
    rate: quantity("molecules/ms", 0, 1e9) | None = None
    ca_scale: quantity("uM", 1e-6, 1e6) | None = None
    sink_kind: Literal["bulk", "surface"] | None = None
    vmax: quantity("nM/ms", 0, 1e9) | None = Field(None, description="of Michaelis-Menten loss; 0 for none")
    km: quantity("nM", 1e-9, 1e12) | None = None
    tonic: quantity("nM", 0, 1e12) | None = Field(None, description="level that sources not modelled keep up")
    transport: Literal["auto", "grid", "local", "mean field"] = Field(
        "auto", description="on the grid, or by a limit without one; auto: by the reach (`space.regime`)")
    binding: dict[str, BindingSection] = Field({}, description="kinds of sites that hold it, by name")
    synthesis: PartChoice | Literal["none"] | None = None
    f_cis: Probability | None = Field(None, description="of a lipid: share that passes to the spine's own bouton")
    cis_volume: quantity("um^3", 1e-9, 1e3) | None = Field(None, description="in which that share acts there")
    cis_loss: quantity("1/ms", 0, 1e3) | None = Field(None, description="with which it goes; `loss` by default")

    @property
    def record_file(self) -> Path | None:
        """The file of a record of one's own; None for one of the catalogue."""
        path = Path(self.record)
        return path if path.suffix in RECORD_SUFFIXES else None


class ReactionSection(Section):
    """What becomes of a messenger, as `{source: proBDNF, product: BDNF, rate: 0.01 1/s}`.

    - `product`: None if it is only lost. `share`: molecules of product per molecule lost.
    - `of_loss`: the product comes of what the source loses anyhow, by its record; then no `rate` is given.
    - `rate`: per time; per time and concentration with a `catalyst` (a messenger, not used up) or `order: 2`.
    """

    source: str
    product: str | None = None
    of_loss: bool = False
    rate: str | float | None = None
    catalyst: str | None = None
    order: Literal[1, 2] = 1
    share: Factor = 1.0


class SensorSection(Section):
    """Production of IP3 by receptors of astrocytes for a messenger: rate c^hill / (half^hill + c^hill)."""

    messenger: str
    rate: quantity("uM/ms", 0, 10)
    half: quantity("nM", 1e-6, 1e12)
    hill: quantity("1", 0.1, 20) = 1.0


class AstrocyteSection(Section):
    """Astrocytes, one per domain: where they are, what they sense, what they release (`retrojax.io.astrocytes`)."""

    positions: Path | list[tuple[float, float, float]] | None = Field(
        None, description="a CSV file with columns x, y, z, or a list of points [um]")
    density: quantity("1/um^3", 0, 1) | None = Field(None, description="for positions drawn in the box")
    apart: Margin = Field(0.0, description="smallest distance between those")
    domains: Literal["voronoi"] | Path = Field(
        "voronoi", description="or a .npy file with the number of the astrocyte of every voxel, -1 for none")
    step: Duration = Field(100.0, description="of the cells' clock, a multiple of the tick")
    substep: Duration = Field(10.0, description="longest Runge-Kutta step")
    calcium: dict[str, Any] = Field({}, description="parameters of the part `astrocyte`, or its preset")
    transmitter: str | None = Field(None, description="messenger that binds the receptors of the part `astrocyte`")
    senses: list[SensorSection] = []
    junctions: dict[str, Any] | None = Field(None, description="parameters of the part `gap_junctions`; none without")
    releases: list[dict[str, Any]] = Field(
        [], description="a messenger, and parameters of the part `gliorelease`, of each gliotransmitter")
    uptake: dict[str, float | list[float]] = Field(
        {}, description="factor on the loss of a messenger inside domains, one or one per astrocyte")


class Stage(Section):
    """What a sleep stage changes; anything not given is as awake."""

    volume_fraction: quantity("1", 0.01, 1) | None = None
    ltp_gate: Factor = 1.0
    ltd_gate: Factor = 1.0
    inhibition: Factor = 1.0


VOLUME_FRACTIONS = {
    "Xie2013": {"W": 0.14, "N1": 0.23, "N2": 0.23, "N3": 0.23, "REM": 0.14},
    "Miao2024": {"W": 0.20, "N1": 0.20, "N2": 0.20, "N3": 0.20, "REM": 0.20},
}
"""Volume fraction of the extracellular space by stage. Xie et al. (2013) found 0.14 awake and 0.23 asleep in mouse
cortex; REM, which they did not tell apart, is taken as awake. Miao et al. (2024) found that solutes move alike in every
state: the common fraction of 0.20 throughout. They also found clearance to be slower asleep, which is not in here."""


class Sleep(Section):
    """Stages from a recorded hypnogram at compressed time; one per scored epoch code."""

    hypnogram: Path
    start: quantity("s", 0, 1e9) = Field(description="from this second of the recording")
    stop: quantity("s", 0, 1e9) = Field(description="to this second of the recording")
    stages: dict[str, Stage]
    volume_fraction: Literal["Xie2013", "Miao2024"] | None = Field(
        None, description="whose account of the extracellular space, for stages that give no volume_fraction: "
        "Xie et al. 2013 (0.14 in W and REM, 0.23 in N1 to N3) or Miao et al. 2024 (0.20 throughout)")

    @model_validator(mode="after")
    def _fractions(self) -> "Sleep":
        known = VOLUME_FRACTIONS[self.volume_fraction] if self.volume_fraction else {}
        for name, stage in self.stages.items():
            if stage.volume_fraction is None and name in known:
                self.stages[name] = stage.model_copy(update={"volume_fraction": known[name]})
        return self


class Intervention(Section):
    """A drug at a dose, or a parameter multiplied, for a while.

    `{drug: AM251, dose: 2 uM, from: 300 s, until: 900 s}` (see `retrojax describe drug`) or
    `{target: messengers.NO.loss, multiply: 3, from: 10 s}`. `start` and `stop` may be written for `from` and `until`.
    """

    drug: str | None = Field(None, description="a drug, genotype or condition; `retrojax describe drug` lists them")
    dose: str | float | None = Field(None, description="concentration of the drug; none for a genotype")
    onset: Time | None = Field(None, description="time constant with which the drug comes; the drug's own by default")
    washout: Time | None = Field(None, description="time constant with which it goes")
    target: str | None = None
    multiply: Factor | None = None
    start: Time = Field(0.0, validation_alias=AliasChoices("start", "from"))
    stop: Duration | None = Field(None, validation_alias=AliasChoices("stop", "until"))

    @model_validator(mode="after")
    def _one_kind(self) -> "Intervention":
        if (self.drug is None) == (self.target is None):
            raise InputError("drug", f"{self.drug} with target {self.target}", "either a drug or a target",
                             "write {drug: AM251, dose: 2 uM} or {target: messengers.NO.loss, multiply: 3}")
        if self.drug is not None:
            find_drug(self.drug)
            read_dose(self.drug, self.dose, "dose")
        elif self.multiply is None:
            raise InputError("multiply", "missing", "a factor of at least 0", "say by what the target is multiplied")
        extra = [name for name in ("dose", "onset", "washout") if getattr(self, name) is not None]
        wrong: list[str] = extra if self.drug is None else ["multiply"] if self.multiply is not None else []
        if wrong:
            raise InputError(wrong[0], getattr(self, wrong[0]), "a key of the other kind of intervention", "remove it")
        if self.stop is not None and self.stop <= self.start:
            raise InputError("until", f"{self.stop:g} ms", f"after {self.start:g} ms, where it begins", "move it")
        return self


class Record(Section):
    """What is written: spikes and messenger levels always, synapses and fields every so often."""

    every: Duration = 5000.0
    fields: bool = True


class Checkpoint(Section):
    """Wall time between checkpoints, and how many are kept."""

    every: quantity("s", 0.1, 3600) = 10.0
    keep: int = Field(default=2, ge=1, le=100)


class RunConfig(Section):
    """A run. The top level of a config file."""

    duration: Duration
    dt: Duration = 1.0
    seed: int = Field(0, ge=0, lt=2**31)
    network: Network
    drive: Drive
    neurons: dict[str, dict[str, Any]]
    synapse: SynapseSection
    messengers: dict[str, MessengerSection] = {}
    reactions: list[ReactionSection] = []
    astrocytes: AstrocyteSection | None = None
    grid: GridSection = GridSection()
    sleep: Sleep | None = None
    interventions: list[Intervention] = []
    slow_step: Duration = 1000.0
    record: Record = Record()
    checkpoint: Checkpoint = Checkpoint()
