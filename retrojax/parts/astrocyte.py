"""Calcium and IP3 of astrocytes, and what passes between them."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Integer

from retrojax.errors import InputError
from retrojax.types import PerRow

NEST = {
    "rho_A": 0.185, "Omega_L": 1.1e-4, "K_P": 0.1, "d_2": 1.049, "d_5": 0.08234, "O_beta": 0.0, "O_delta": 0.0,
    "O_3K": 0.0, "Omega_5P": 1 / 7142.0, "basal": 0.16 / 7142.0, "dIP3": 2e-4,
}
"""Where the astrocyte of NEST differs from the defaults: IP3 relaxes to 0.16 uM in 7142 ms and rises by 0.0002 uM at a
spike."""


class AstrocyteState(NamedTuple):
    """`C`: cytosolic calcium [uM]; `h`: open share of IP3 receptors; `I`: IP3 [uM]; `Gamma_A`: bound glial receptors.
    Each of shape [A]."""

    C: PerRow
    h: PerRow
    I: PerRow  # noqa: E741  # the name in the papers
    Gamma_A: PerRow


class Astrocyte(eqx.Module):
    """Calcium released from stores by IP3 (Li-Rinzel), with the IP3 metabolism of the G-ChI model.

        dC/dt = (Omega_C m^3 h^3 + Omega_L)(C_T - (1 + rho_A) C) - O_P C^2/(C^2 + K_P^2)
        dh/dt = O_2 (Q_2 (1 - h) - C h),   Q_2 = d_2 (I + d_1)/(I + d_3),   m = I/(I + d_1) C/(C + d_5)
        dI/dt = O_beta Gamma_A + O_delta/(1 + I/kappa_delta) C^2/(C^2 + K_delta^2) + basal
                - O_3K C^4/(C^4 + K_D^4) I/(I + K_3) - Omega_5P I + J
        dGamma_A/dt = O_N Y (1 - Gamma_A) - Omega_N (1 + zeta C/(C + K_KC)) Gamma_A

    Y is the neurotransmitter around the cell and J the exchange of IP3 with neighbours or a reservoir. `nest` gives the
    parameters with which this is the astrocyte of NEST, whose IP3 relaxes to a rest value and jumps at spikes.

    Intracellular amounts are in uM, as in `HillSynthesis`; time in ms.

    **Arguments** (each one number, or one per astrocyte)

    - `C_T`: total calcium [uM]. `rho_A`: volume of the stores over that of the cytosol.
    - `Omega_C`, `Omega_L`: release and leak [1/ms]. `O_P` [uM/ms], `K_P` [uM]: pump.
    - `d_1`, `d_2`, `d_3`, `d_5` [uM], `O_2` [1/(uM ms)]: IP3 receptor.
    - `O_beta` [uM/ms]: production by glial receptors. `O_delta` [uM/ms], `kappa_delta`, `K_delta` [uM]: PLC delta.
    - `O_3K` [uM/ms], `K_D`, `K_3` [uM]: IP3 3-kinase. `Omega_5P` [1/ms]: 5-phosphatase. `basal` [uM/ms]: production.
    - `O_N` [1/(uM ms)], `Omega_N` [1/ms], `zeta`, `K_KC` [uM]: binding of neurotransmitter, and its end by PKC.
    - `dIP3`: step of IP3 at a presynaptic spike of weight 1 [uM].

    Valid for one well-mixed compartment per cell without the calcium fluxes of the plasma membrane.

    References: Li & Rinzel (1994) J Theor Biol 166:461; De Pitta, Goldberg, Volman, Berry & Ben-Jacob (2009) J Biol
    Phys 35:383; Stimberg, Goodman, Brette & De Pitta (2019) in Computational Glioscience, ch. 18.
    """

    C_T: PerRow
    rho_A: PerRow
    Omega_C: PerRow
    Omega_L: PerRow
    O_P: PerRow
    K_P: PerRow
    d_1: PerRow
    d_2: PerRow
    d_3: PerRow
    d_5: PerRow
    O_2: PerRow
    O_beta: PerRow
    O_delta: PerRow
    kappa_delta: PerRow
    K_delta: PerRow
    O_3K: PerRow
    K_D: PerRow
    K_3: PerRow
    Omega_5P: PerRow
    basal: PerRow
    O_N: PerRow
    Omega_N: PerRow
    zeta: PerRow
    K_KC: PerRow
    dIP3: PerRow

    def __init__(self, C_T=2.0, rho_A=0.18, Omega_C=6e-3, Omega_L=1e-4, O_P=0.9e-3, K_P=0.05, d_1=0.13, d_2=1.05,
                 d_3=0.9434, d_5=0.08, O_2=0.2e-3, O_beta=0.5e-3, O_delta=0.6e-3, kappa_delta=1.5, K_delta=0.1,
                 O_3K=4.5e-3, K_D=0.7, K_3=1.0, Omega_5P=5e-5, basal=0.0, O_N=0.3e-3, Omega_N=0.5e-3, zeta=10.0,
                 K_KC=0.5, dIP3=0.0):
        given = dict(locals())
        for name in self.__dataclass_fields__:
            setattr(self, name, jnp.asarray(given[name], float))

    @classmethod
    def nest(cls) -> "Astrocyte":
        """Default parameters of NEST's astrocyte_lr_1994 (`NEST`), without its noise current."""
        return cls(**NEST)

    def init(self, count: int, C=0.0, h=0.9, I=0.0) -> AstrocyteState:  # noqa: E741
        """`count` astrocytes at that calcium [uM], open share and IP3 [uM], no receptor bound."""
        start = [jnp.broadcast_to(jnp.asarray(x, float), (count,)) for x in (C, h, I, 0.0)]
        return AstrocyteState(*start)

    def slope(self, s: AstrocyteState, transmitter: PerRow, exchange: PerRow) -> AstrocyteState:
        """Time derivative [1/ms] at neurotransmitter Y [uM] and IP3 inflow J [uM/ms]."""
        C, h, I, bound = s  # noqa: E741
        m = I / (I + self.d_1) * C / (C + self.d_5)
        pump = self.O_P * C**2 / (C**2 + self.K_P**2)
        dC = (self.Omega_C * (m * h) ** 3 + self.Omega_L) * (self.C_T - (1 + self.rho_A) * C) - pump
        Q_2 = self.d_2 * (I + self.d_1) / (I + self.d_3)
        dh = self.O_2 * (Q_2 * (1 - h) - C * h)
        made = self.O_beta * bound + self.basal
        made += self.O_delta / (1 + I / self.kappa_delta) * C**2 / (C**2 + self.K_delta**2)
        lost = self.O_3K * C**4 / (C**4 + self.K_D**4) * I / (I + self.K_3) + self.Omega_5P * I
        dbound = self.O_N * transmitter * (1 - bound)
        dbound -= self.Omega_N * (1 + self.zeta * C / (C + self.K_KC)) * bound
        return AstrocyteState(dC, dh, made - lost + exchange, dbound)

    def step(
        self, s: AstrocyteState, dt: PerRow, transmitter: PerRow, exchange: Callable[[PerRow], PerRow] = jnp.zeros_like
    ) -> AstrocyteState:
        """State `dt` ms later, by one classical Runge-Kutta step of fourth order.

        **Arguments**

        - `dt` [ms]: the fastest rate is near 1/(20 ms), so 10 ms is stable and 1 ms good to about 1e-8.
        - `transmitter`: Y around each cell, held over the step [uM].
        - `exchange`: IP3 inflow [uM/ms] as a function of IP3 [uM]; none by default.
        """
        moved = lambda s, k, a: AstrocyteState(*(x + a * dx for x, dx in zip(s, k, strict=True)))  # noqa: E731
        slope = lambda s: self.slope(s, transmitter, exchange(s.I))  # noqa: E731
        k1 = slope(s)
        k2 = slope(moved(s, k1, dt / 2))
        k3 = slope(moved(s, k2, dt / 2))
        k4 = slope(moved(s, k3, dt))
        return AstrocyteState(*(x + dt / 6 * (a + 2 * b + 2 * c + d)
                                for x, a, b, c, d in zip(s, k1, k2, k3, k4, strict=True)))

    def on_spikes(self, s: AstrocyteState, weight: PerRow) -> AstrocyteState:
        """IP3 after presynaptic spikes whose weights sum to `weight`, per astrocyte."""
        return s._replace(I=s.I + self.dIP3 * weight)


class GapJunctions(eqx.Module):
    """Diffusion of IP3 through gap junctions, which sets in above a threshold difference.

        J(dI) = -F/2 (1 + tanh((|dI| - I_theta)/omega_I)) sgn dI

    dI is a cell's IP3 minus that of its neighbour. What one cell gives the other receives.

    **Arguments**

    - `F`: strength [uM/ms]. `I_theta`: threshold [uM]. `omega_I`: width [uM].

    References: Goldberg, De Pitta, Volman, Berry & Ben-Jacob (2010) PLoS Comput Biol 6:e1000909.
    """

    F: PerRow
    I_theta: PerRow
    omega_I: PerRow

    def __init__(self, F=0.09e-3, I_theta=0.3, omega_I=0.05):
        self.F, self.I_theta = jnp.asarray(F, float), jnp.asarray(I_theta, float)
        self.omega_I = jnp.asarray(omega_I, float)

    def flux(self, difference: PerRow) -> PerRow:
        """J [uM/ms] into a cell whose IP3 lies `difference` [uM] above that of the other side."""
        gate = 1 + jnp.tanh((jnp.abs(difference) - self.I_theta) / self.omega_I)
        return -self.F / 2 * gate * jnp.sign(difference)

    def reservoir(self, bias: PerRow) -> Callable[[PerRow], PerRow]:
        """Exchange of every cell with a reservoir held at IP3 `bias` [uM]."""
        return lambda ip3: self.flux(ip3 - bias)

    def network(self, neighbours: Int[Array, "A K"]) -> Callable[[PerRow], PerRow]:
        """Exchange over the table that `neighbour_table` makes."""
        return lambda ip3: jnp.sum(self.flux(ip3[:, None] - ip3[neighbours]), axis=1)


def neighbour_table(pairs: Integer[np.ndarray, "E 2"], count: int) -> Int[np.ndarray, "A K"]:
    """Neighbours of every astrocyte, a row each; a row shorter than the longest is filled with the cell itself.

    A cell exchanges nothing with itself, so filling changes no flux.

    **Raises** `InputError` for a pair that names a cell outside 0..count-1, a cell paired with itself, or a pair given
    twice.
    """
    if pairs.size and (pairs.min() < 0 or pairs.max() >= count):
        raise InputError("pairs", int(pairs.max() if pairs.min() >= 0 else pairs.min()), f"cells 0 to {count - 1}",
                         "number astrocytes from 0")
    if np.any(pairs[:, 0] == pairs[:, 1]):
        raise InputError("pairs", "a cell with itself", "two different cells", "remove that pair")
    if len(np.unique(np.sort(pairs, axis=1), axis=0)) < len(pairs):
        raise InputError("pairs", "a pair given twice", "each pair once, in either order", "remove the repetition")
    both = np.concatenate([pairs, pairs[:, ::-1]])
    degree = np.bincount(both[:, 0], minlength=count)
    table = np.repeat(np.arange(count)[:, None], max(1, int(degree.max(initial=0))), axis=1)
    both = both[np.lexsort((both[:, 1], both[:, 0]))]
    place = np.arange(len(both)) - np.repeat(np.cumsum(degree) - degree, degree)
    table[both[:, 0], place] = both[:, 1]
    return table.astype(np.int32)


def slow_inward_current(C: PerRow, threshold: Float[Array, "..."] | float = 0.19669) -> PerRow:
    """Current that an astrocyte's calcium evokes in the neurons nearby, I = ln y where y > 1 [pA].

        y = (C - threshold)/nM

    **Arguments**

    - `C`, `threshold`: calcium and where the current sets in [uM].

    References: Nadkarni & Jung (2003) Phys Rev Lett 91:268101; the current of NEST's sic_connection.
    """
    y = 1e3 * (C - threshold)
    return jnp.where(y > 1, jnp.log(jnp.maximum(y, 1.0)), 0.0)
