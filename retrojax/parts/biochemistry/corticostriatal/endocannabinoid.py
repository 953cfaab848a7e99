"""2-AG and anandamide of the spine, and the presynaptic weight they move through CB1 (Cui et al. 2016)."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from retrojax.parts.cb1 import CB1
from retrojax.types import PerRow


class LipidState(NamedTuple):
    """`IP3`, `DAG`, `AG2` (2-AG), `AEA` [uM]; `g`: active fraction of DAG lipase."""

    IP3: PerRow
    DAG: PerRow
    g: PerRow
    AG2: PerRow
    AEA: PerRow


class Endocannabinoids(eqx.Module):
    """Synthesis and loss of 2-AG and anandamide; time in s, concentrations in uM.

        v = 0.8 Glu/(Glu + 1.3 + 10 Ca/(Ca + 0.6)) + 0.02/(1 + IP3/1.5) Ca^2/(Ca^2 + 0.1^2)
        dIP3/dt = v - 0.001 CaMKIIp IP3/(IP3 + 1) - 0.2 IP3,  dg/dt = 50 Ca^6 (1 - g) - 380 g
        dDAG/dt = v - r g DAG/(DAG + 30) - 2 DAG,  d2AG/dt = r g DAG/(DAG + 30) - k_MAGL 2AG
        dAEA/dt = 0.2 Ca - v_FAAH AEA/(1 + AEA)

    **Arguments**

    - `r_DAGL`: rate of DAG lipase [uM/s]; THL and DO34 lower it. `k_MAGL`: loss of 2-AG [1/s]; JZL184 lowers it.
    - `v_FAAH`: largest loss of anandamide [uM/s]; URB597 lowers it.

    References: Cui et al. (2016) eLife 5:e13185 and its code, ModelDB 187605.
    """

    r_DAGL: PerRow
    k_MAGL: PerRow
    v_FAAH: PerRow

    def __init__(self, r_DAGL=2e4, k_MAGL=0.5, v_FAAH=4.0):
        self.r_DAGL, self.k_MAGL = jnp.asarray(r_DAGL, float), jnp.asarray(k_MAGL, float)
        self.v_FAAH = jnp.asarray(v_FAAH, float)

    def init(self) -> LipidState:
        """Rest."""
        return LipidState(*map(jnp.asarray, (0.057291400446753571, 0.005734867663641929, 4.1969621599776083e-07,
                                             3.2085896623941232e-06, 0.0061033848099783438)))

    def slope(self, s: LipidState, Ca: PerRow, glutamate: PerRow, phosphorylated: PerRow) -> LipidState:
        """Derivative [per s] at that calcium, glutamate and phosphorylated CaMKII [uM]."""
        made = 0.8 * glutamate / (glutamate + 1.3 + 10 * Ca / (Ca + 0.6))
        made = made + 0.02 / (1 + s.IP3 / 1.5) * Ca**2 / (Ca**2 + 0.01)
        hydrolysed = self.r_DAGL * s.g * s.DAG / (s.DAG + 30)
        return LipidState(
            IP3=made - 0.001 * phosphorylated * s.IP3 / (s.IP3 + 1) - 0.2 * s.IP3,
            DAG=made - hydrolysed - 2 * s.DAG,
            g=50 * Ca**6 * (1 - s.g) - 380 * s.g,
            AG2=hydrolysed - self.k_MAGL * s.AG2,
            AEA=0.2 * Ca - self.v_FAAH * s.AEA / (1 + s.AEA),
        )


class CannabinoidWeightState(NamedTuple):
    """`O`, `D`: CB1 open and desensitised fractions; `W_pre`: presynaptic weight, 1 at the start."""

    O: PerRow  # noqa: E741 - the receptor's states are called C, O, D
    D: PerRow
    W_pre: PerRow


class CannabinoidWeight(eqx.Module):
    """Presynaptic weight under CB1, every receptor state followed; time in s, ligand in uM.

        dO/dt = alpha e (1 - O - D) - (beta + gamma) O,  dD/dt = gamma O - epsilon D,  e = 2AG + 0.1 AEA
        y = 3000 O + 0.007,  dW/dt = (Omega(y) - W)/tau,  tau = 1e-9/(1e-35 + (y - 0.0063)^7) + 2

    Omega and the receptor's constants are those of `retrojax.parts.CB1`, which takes O at its steady state and so runs
    in closed form between field steps; here O is stepped, as in the paper.

    **Arguments**

    - `receptor`: constants of CB1 and of the windows of Omega.
    - `sensitivity`: factor on the ligand; 0 is a full antagonist (AM251).

    References: Cui et al. (2016) eLife 5:e13185 and its code, ModelDB 187605.
    """

    receptor: CB1
    sensitivity: PerRow

    def __init__(self, receptor: CB1 | None = None, sensitivity=1.0):
        self.receptor = CB1() if receptor is None else receptor
        self.sensitivity = jnp.asarray(sensitivity, float)

    def init(self) -> CannabinoidWeightState:
        """Rest, with weight 1."""
        return CannabinoidWeightState(*map(jnp.asarray, (3.4373437854140236e-07, 0.002994487796947427, 1.0)))

    def drive(self, s: CannabinoidWeightState) -> PerRow:
        """The plasticity drive y."""
        return 3000 * s.O + 0.007

    def slope(self, s: CannabinoidWeightState, AG2: PerRow, AEA: PerRow) -> CannabinoidWeightState:
        """Derivative [per s] at that 2-AG and anandamide [uM]."""
        r, ligand = self.receptor, self.sensitivity * (AG2 + 0.1 * AEA)
        binding = 1e6 * r.alpha * ligand  # 1/(nM ms) to 1/(uM s)
        y = self.drive(s)
        tau = 1e-9 / (1e-35 + (y - 0.0063) ** 7) + 2
        return CannabinoidWeightState(
            O=binding * (1 - s.O - s.D) - 1e3 * (r.beta + r.gamma) * s.O,
            D=1e3 * (r.gamma * s.O - r.epsilon * s.D),
            W_pre=(r.target(y) - s.W_pre) / tau,
        )
