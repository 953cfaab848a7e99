"""Messenger synthesis where receptor activation and calcium coincide: 2-AG through diacylglycerol."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from retrojax.numerics import Draws
from retrojax.parts.base import AbstractRule, CalciumPath, Change, Expression, Traces
from retrojax.types import PerRow

PRE, POST = 1.0, 2.0
"""What a spike of either side adds to `mark`."""


class CoincidenceState(NamedTuple):
    """`pool`: diacylglycerol at the last spike, less what has become messenger since [nM]; `fresh`: made without
    glutamate since then [nM]; `quiet`: time since then [ms]; `mark`: which sides have just spiked; `activated`:
    messenger made since the last field step [nM in the spine]."""

    pool: PerRow
    fresh: PerRow
    quiet: PerRow
    mark: PerRow
    activated: PerRow


class CoincidenceSynthesis(AbstractRule):
    """2-AG from diacylglycerol (DAG), which glutamate receptors make and a calcium-gated lipase consumes.

        d DAG/dt = v_glu + v_delta H(Ca; K_delta, 2) + v_receptor - (v_lipase/K_dag) g DAG - k_dag DAG
        d 2AG/dt = (v_lipase/K_dag) g DAG,    g = H(Ca; K, n),    H(x; K, n) = x^n / (K^n + x^n)
        v_glu    = v_max Glu / (Glu + K_r + K_p Ca / (Ca + K_pi)),    Glu = glu_peak exp(-t/tau_glu) after a spike

    the scheme of Cui et al. (2016) for DAG far below K_dag (30 uM) and a lipase in equilibrium with calcium (its time
    constant is below 3 ms); IP3 and its inhibition of v_delta are left out. Three routes to 2-AG follow: calcium alone
    (v_delta), receptors alone at the calcium there is, and the two together, which yield more than their sum.

    In closed form and composable: over a flow the pool loses exp(-(v_lipase/K_dag) integral of g), which is what
    becomes 2-AG; a glutamate pulse adds its integral at once, v_max tau_glu ln(1 + glu_peak/K), K at the calcium of
    the spike (its receptors stay saturated for some 25 ms, which costs about a tenth where calcium is high just
    then); what is made without glutamate joins the pool, and k_dag acts on it, at the next spike of either side.
    Since the gate is open for milliseconds after a spike and 1/k_dag is 0.5 s, that costs about k_dag x (open time),
    a few per cent.

    **Arguments**

    - `makes`: name of the messenger.
    - `molecules`: made per nM of messenger in the spine, 0.602 x its volume in um^3.
    - `half_activation`: K [uM]. `hill`: n.
    - `v_max` [nM/ms], `K_r`, `K_p`, `K_pi` [uM], `glu_peak` [uM], `tau_glu` [ms]: the receptor branch (mGluR1/5).
    - `v_receptor`: DAG from another receptor held active, e.g. muscarinic M1 under an agonist [nM/ms].
    - `v_delta` [nM/ms], `K_delta` [uM]: the branch that calcium alone drives.
    - `v_lipase` [nM/ms], `K_dag` [uM]: DAG lipase. `k_dag`: loss of DAG elsewhere [1/ms].
    - `ca_scale`: uM of calcium per unit of the rule's dimensionless calcium.

    Valid while DAG stays far below `K_dag`, and for glutamate gone before the axon's next spike.

    References: Cui et al. (2016) eLife 5:e13185; Hashimotodani et al. (2005) Neuron 45:257 (coincidence).
    """

    makes: str = eqx.field(static=True)
    molecules: PerRow
    half_activation: PerRow
    hill: PerRow
    v_max: PerRow
    K_r: PerRow
    K_p: PerRow
    K_pi: PerRow
    glu_peak: PerRow
    tau_glu: PerRow
    v_receptor: PerRow
    v_delta: PerRow
    K_delta: PerRow
    v_lipase: PerRow
    K_dag: PerRow
    k_dag: PerRow
    ca_scale: PerRow

    def __init__(self, makes: str, molecules=0.0524, half_activation=1.4, hill=6.0, v_max=0.8, K_r=1.3, K_p=10.0,
                 K_pi=0.6, glu_peak=2000.0, tau_glu=5.0, v_receptor=0.0, v_delta=0.02, K_delta=0.1, v_lipase=2e4,
                 K_dag=30.0, k_dag=2e-3, ca_scale=1.0):
        self.makes = makes
        self.molecules, self.ca_scale = jnp.asarray(molecules, float), jnp.asarray(ca_scale, float)
        self.half_activation, self.hill = jnp.asarray(half_activation, float), jnp.asarray(hill, float)
        self.v_max, self.K_r = jnp.asarray(v_max, float), jnp.asarray(K_r, float)
        self.K_p, self.K_pi = jnp.asarray(K_p, float), jnp.asarray(K_pi, float)
        self.glu_peak, self.tau_glu = jnp.asarray(glu_peak, float), jnp.asarray(tau_glu, float)
        self.v_receptor, self.v_delta = jnp.asarray(v_receptor, float), jnp.asarray(v_delta, float)
        self.K_delta, self.v_lipase = jnp.asarray(K_delta, float), jnp.asarray(v_lipase, float)
        self.K_dag, self.k_dag = jnp.asarray(K_dag, float), jnp.asarray(k_dag, float)

    def init(self, shape: tuple[int, ...]) -> CoincidenceState:
        return CoincidenceState(*(jnp.zeros(shape) for _ in CoincidenceState._fields))

    def pulse(self, calcium: PerRow) -> PerRow:
        """DAG that the glutamate of one spike makes at that calcium [uM]: integral of v_glu over the pulse [nM]."""
        half = self.K_r + self.K_p * calcium / (calcium + self.K_pi)
        return self.v_max * self.tau_glu * jnp.log1p(self.glu_peak / half)

    def flow(
        self, s: CoincidenceState, elapsed: PerRow, path: CalciumPath, pre: tuple[PerRow, ...], draws: Draws
    ) -> CoincidenceState:
        spiked, from_pre = s.mark > 0, (s.mark == PRE) | (s.mark == PRE + POST)
        settled = (s.pool + s.fresh) * jnp.exp(-self.k_dag * s.quiet)
        settled = settled + jnp.where(from_pre, self.pulse(path.start * self.ca_scale), 0.0)
        pool, quiet = jnp.where(spiked, settled, s.pool), jnp.where(spiked, 0.0, s.quiet)
        fresh = jnp.where(spiked, 0.0, s.fresh) + self.v_receptor * elapsed + self.v_delta * path.hill_integral(
            self.K_delta / self.ca_scale, jnp.asarray(2.0, self.v_delta.dtype))
        # nM/ms over uM is 1e-3/ms
        turnover = 1e-3 * self.v_lipase / self.K_dag
        opened = turnover * path.hill_integral(self.half_activation / self.ca_scale, self.hill)
        made = -pool * jnp.expm1(-opened)
        return CoincidenceState(pool - made, fresh, quiet + elapsed, jnp.zeros_like(s.mark), s.activated + made)

    def on_pre(self, s: CoincidenceState, expression: Expression, traces: Traces) -> Change:
        return self._marked(s, PRE)

    def on_post(self, s: CoincidenceState, expression: Expression, traces: Traces) -> Change:
        return self._marked(s, POST)

    def emit(self, s: CoincidenceState, elapsed: PerRow) -> tuple[CoincidenceState, PerRow]:
        return s._replace(activated=jnp.zeros_like(s.activated)), self.molecules * s.activated

    def most(self, elapsed: PerRow) -> PerRow:
        # every glutamate receptor active all the time, and all of the DAG consumed
        supply = self.v_max + self.v_delta + self.v_receptor
        return self.molecules * supply * (elapsed + 2 / self.k_dag)

    def _marked(self, s: CoincidenceState, side: float) -> Change:
        zero = jnp.zeros_like(s.pool)
        return Change(CoincidenceState(zero, zero, zero, zero + side, zero))
