"""The data of a network run, in four kinds that never mix.

`Model`: every differentiable parameter. `NetworkState`: everything the next step needs and nothing else, so a
checkpoint is a state. `Tissue`: wiring and geometry, which change only on the host. `Clocks`: static numbers that
decide compilation.
"""

from typing import Any, Literal, NamedTuple

import equinox as eqx
from jaxtyping import Array, Bool, Float, Int

from retrojax.engine.rows import Synapse
from retrojax.parts.astrocyte import Astrocyte, AstrocyteState, GapJunctions
from retrojax.parts.background import AbstractBackground
from retrojax.parts.drive import AbstractDrive
from retrojax.parts.gliorelease import Gliorelease
from retrojax.parts.neuron import AbstractNeuron
from retrojax.space import Binding, Bound, Flow, Grid, Pairs, Sites
from retrojax.space.limits import Kind
from retrojax.types import Field, PerRow, Rows, Scalar, SeedKey

Neurons = Any
"""State of the membranes: a NamedTuple of arrays of shape [N]."""


class Clocks(NamedTuple):
    """Static time structure.

    - `steps`: neuron steps per tick; a tick is the shortest field step.
    - `every`: ticks per field step of each messenger.
    - `slow`: ticks per slow step.
    - `chunk`: most ticks in one compiled call.
    """

    steps: int
    every: tuple[int, ...]
    slow: int
    chunk: int


class Saturable(eqx.Module):
    """Loss vmax c / (km + c) of the concentration c: `vmax` [nM/ms], `km` [nM], and the `level` at which the messenger
    rests [nM]."""

    vmax: Scalar
    km: Scalar
    level: Scalar


class Cis(eqx.Module):
    """A direct way from a spine to its own bouton, past the medium: from membrane to membrane, or by carriers.

    - `fraction`: of what a spine makes, 0 to 1; the rest enters the medium.
    - `volume`: in which it acts at the bouton [um^3]. `loss`: with which it goes there [1/ms].
    """

    fraction: Scalar
    volume: Scalar
    loss: Scalar


class Maps(eqx.Module):
    """What differs from voxel to voxel, as factors on the numbers of a messenger, [X, Y, Z].

    - `fraction`: on its volume fraction, with a mean of 1. `tortuosity`: on its tortuosity, D* by its square.
    - `sink`: on the rates at which the fluid of a voxel loses it by its record, first-order and saturable.
    - `drain`: rate of further loss in the voxel, of which nothing comes (blood vessels) [1/ms]; None for none.
    """

    fraction: Field
    tortuosity: Field
    sink: Field
    drain: Field | None = None


class Messenger(eqx.Module):
    """A messenger in its medium.

    - `diffusion`: effective coefficient D* [um^2/ms]. `loss`: first-order rate [1/ms].
    - `volume_fraction`: of the space it occupies; the mean over the box if there are maps. `name`: static.
    - `tonic`: source everywhere, of amount per tissue volume [nM/ms]; None for none.
    - `saturable`: Michaelis-Menten loss besides; None for none.
    - `maps`: of the medium; None where it is uniform.
    - `transport`: how it spreads, on the grid or by a limit without one (`space.regime`); static.
    - `binding`: kinds of sites that hold it, fixed in the tissue. `flow`: of the fluid that carries it; None for none.
    - `cis`: direct way to the spine's own bouton; None where all of it enters the medium.
    """

    name: str = eqx.field(static=True)
    diffusion: Scalar
    loss: Scalar
    volume_fraction: Scalar
    tonic: Scalar | None = None
    saturable: Saturable | None = None
    maps: Maps | None = None
    transport: Kind = eqx.field(static=True, default="grid")
    binding: tuple[Binding, ...] = ()
    flow: Flow | None = None
    cis: Cis | None = None


class Reaction(eqx.Module):
    """Something that becomes of a messenger, in every voxel.

    - `source`, `product`: numbers of the messengers that lose and gain; no product if None. Static, as is `kind`:
      `loss` (of what the source loses anyhow), `first` (rate [1/ms]), `catalysed` (rate [1/(nM ms)], times the
      concentration of messenger number `catalyst`, which is not used up) or `second` (rate [1/(nM ms)], times the
      source's own concentration).
    - `share`: molecules of product per molecule lost.
    """

    source: int = eqx.field(static=True)
    product: int | None = eqx.field(static=True)
    kind: Literal["loss", "first", "catalysed", "second"] = eqx.field(static=True)
    rate: Scalar
    share: Scalar
    catalyst: int | None = eqx.field(static=True, default=None)


class Soaked(NamedTuple):
    """A messenger in the matrix: its number, whether a surface takes it up, and which kinds of sites are the matrix's.
    """

    messenger: int
    surface: bool
    sites: tuple[int, ...]


class Matrix(eqx.Module):
    """The matrix, and how far it is digested.

    - `density`: relative to the intact neuropil; one number or a map, [X, Y, Z].
    - `reached`: share of each voxel that enzymes get to; likewise.
    - `swelling`, `easing`: as in `space.matrix_factors`.
    - `digested`, `shed`: share of the matrix, and of its binding sites, that enzymes have removed where they get to; 0
      to 1, more counts as 1.
    - `soaked`: the messengers in it; static.
    """

    density: Float[Array, "..."]
    reached: Float[Array, "..."]
    swelling: Scalar
    easing: Scalar
    digested: Scalar
    shed: Scalar
    soaked: tuple[Soaked, ...] = eqx.field(static=True)


class Sensor(eqx.Module):
    """Production of IP3 [uM/ms] by receptors for a messenger, rate c^hill / (half^hill + c^hill).

    - `messenger`: its number; static. c is its mean concentration over the domain [nM].
    - `rate` [uM/ms], `half` [nM], `hill`.
    """

    messenger: int = eqx.field(static=True)
    rate: Scalar
    half: Scalar
    hill: Scalar


class Secretion(eqx.Module):
    """Gliotransmitter that leaves for messenger number `messenger` (static), into the whole domain alike.

    `release.Omega_e` is not used: the messenger's own transport and loss clear it.
    """

    messenger: int = eqx.field(static=True)
    release: Gliorelease


class Astrocytes(eqx.Module):
    """The astrocytes of a network, one per domain.

    - `cell`: calcium and IP3. `junctions`: between cells whose domains touch; None for none.
    - `transmitter`: number of the messenger that is Y of `Astrocyte`, by its mean over the domain; None for none.
    - `sensors`: what else makes IP3. `secretions`: what leaves.
    - `every`: ticks per step of the cells. `substeps`: Runge-Kutta steps in one. Static, as is `transmitter`.
    """

    cell: Astrocyte
    junctions: GapJunctions | None
    sensors: tuple[Sensor, ...]
    secretions: tuple[Secretion, ...]
    transmitter: int | None = eqx.field(static=True)
    every: int = eqx.field(static=True)
    substeps: int = eqx.field(static=True)


class Model(eqx.Module):
    """Every parameter of a network: a new value never recompiles.

    - `dt`: neuron step [ms].
    - `synapse`: the plastic kind. `weight`: input at full release and strength 1, of all plastic synapses or each.
    - `fixed_weight`: input per spike of the other synapses, likewise. `inhibition`: factor on inhibitory ones.
      All in the unit of the membranes' input: pA, or mV for jumps.
    - `neurons`: the membranes. `drive`: the sources outside. `messengers`: what diffuses.
    - `background`: input that every neuron receives besides; None for none.
    - `reactions`: between messengers. One that turns into another should stand before it: then what becomes of it in a
      step that both take is seen in that step.
    - `astrocytes`: None for none. `matrix`: the extracellular one (`engine.matrix`); None if nothing digests it.
    """

    dt: Scalar
    synapse: Synapse
    weight: Float[Array, "..."]
    fixed_weight: Float[Array, "..."]
    inhibition: Scalar
    neurons: AbstractNeuron
    drive: AbstractDrive
    messengers: tuple[Messenger, ...]
    background: AbstractBackground | None = None
    reactions: tuple[Reaction, ...] = ()
    astrocytes: Astrocytes | None = None
    matrix: Matrix | None = None


class Domains(eqx.Module):
    """Where astrocytes are.

    - `label`: astrocyte of every voxel, -1 for none. `voxels`: those of every astrocyte, padded with one past the last.
    - `size`: voxels of every astrocyte. `neighbours`: table of cells whose domains touch (`parts.neighbour_table`).
    """

    label: Int[Array, "X Y Z"]
    voxels: Int[Array, "A K"]
    size: Int[Array, " A"]
    neighbours: Int[Array, "A D"]


class Cells(NamedTuple):
    """State of the astrocytes: `inside` each, and the share of each gliotransmitter `ready` for release, [A]."""

    inside: AstrocyteState
    ready: tuple[PerRow, ...]


class Inputs(NamedTuple):
    """Which rows add into which neuron, for one delay and one receptor.

    - `rows`: [N, most] positions in (plastic rows, fixed rows, one zero), padded with the zero.
    """

    rows: Int[Array, "N K"]


class Tissue(eqx.Module):
    """Wiring and geometry.

    - `ids`, `pre`, `post`: permanent id and ends of the plastic synapses; sources count on after the neurons.
    - `fixed_pre`: source of every other synapse. `fixed_inhibits`: whether it is inhibitory.
    - `inputs`: what adds where; group g arrives `delays[g]` steps later at receptor `receptors[g]` (0 ex, 1 in).
    - `spines`, `boutons`: voxels of the plastic synapses. `near`: their offset class (`space.near_field`).
    - `input_scale`: fixed-point units per pA. `deposit_scale`: units per molecule and messenger.
    - `pairs`: close neighbours, or None where the grid alone stands for them.
    - `grid`, `delays`, `receptors`, `near_distance` [um]: static.
    - `domains`: of astrocytes; None for none.
    """

    ids: Int[Array, " S"]
    pre: Int[Array, " S"]
    post: Int[Array, " S"]
    fixed_pre: Int[Array, " R"]
    fixed_inhibits: Bool[Array, " R"]
    inputs: tuple[Inputs, ...]
    spines: Sites
    boutons: Sites
    near: Int[Array, " S"]
    input_scale: Scalar
    deposit_scale: tuple[Scalar, ...]
    grid: Grid = eqx.field(static=True)
    delays: tuple[int, ...] = eqx.field(static=True)
    receptors: tuple[int, ...] = eqx.field(static=True)
    near_distance: float = eqx.field(static=True)
    domains: Domains | None = None
    pairs: Pairs | None = None


class NetworkState(eqx.Module):
    """Everything the next step needs.

    - `rows`: plastic synapses. `neurons`: membranes.
    - `arriving`: fixed-point input by (slot, receptor, neuron). `fired`: recent spikes by (slot, neuron or source).
    - `fields`: amount per tissue volume of every messenger [nM]. `emitted`: rate at which every spine released into
      the medium over the last field steps, newest first [molecules/ms].
    - `cis`: what came to every bouton by the direct way of each messenger and is there still [molecules]; an empty
      array where there is none.
    - `pending`: what other messengers have turned into each since its last step, amount per tissue volume [nM]; an
      empty array where nothing can. `bound`: what sites hold of every messenger, by kind of site [nM].
    - `levels`: mean over the box, mean and maximum over boutons of every messenger's concentration [nM].
    - `tick`: ticks done. `cursor`, `lap`: step within the drive's period, and periods done. `slot`: position in the
      two rings.
    - `key`: of the run. `errors`: `ErrorBit`s. `astrocytes`: None for none.
    """

    rows: Rows
    neurons: Neurons
    arriving: Int[Array, "L 2 N"]
    fired: Bool[Array, "R A"]
    fields: tuple[Field, ...]
    emitted: tuple[Float[Array, "_ S"], ...]
    cis: tuple[Float[Array, " _"], ...]
    pending: tuple[Float[Array, "_ _ _"], ...]
    bound: tuple[tuple[Bound, ...], ...]
    levels: Float[Array, "M 3"]
    tick: Int[Array, ""]
    cursor: Int[Array, ""]
    lap: Int[Array, ""]
    slot: Int[Array, ""]
    key: SeedKey
    errors: Int[Array, ""]
    astrocytes: Cells | None = None
