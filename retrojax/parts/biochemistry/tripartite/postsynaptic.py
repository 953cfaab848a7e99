"""Two-compartment layer 2/3 pyramidal cell (Manninen et al. 2020)."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from retrojax.numerics import phi1
from retrojax.types import PerRow


class PostsynapticState(NamedTuple):
    """`V`, `U`: soma and dendrite [mV]; gates of sodium (`m`, `h`; `md`, `hd`), delayed rectifier `n`, A-type potassium
    `a`, `b`, high- (`p`, `q`) and low-voltage-activated (`r`, `s`) calcium; `ampa`, `nmda`: open fractions."""

    V: PerRow
    U: PerRow
    m: PerRow
    h: PerRow
    n: PerRow
    md: PerRow
    hd: PerRow
    a: PerRow
    b: PerRow
    p: PerRow
    q: PerRow
    r: PerRow
    s: PerRow
    ampa: PerRow
    nmda: PerRow


class PostsynapticMembrane(eqx.Module):
    """Soma with sodium and potassium, dendrite with calcium channels and receptors; ms, mV, uA/cm^2, mS/cm^2.

        C dV/dt = I_ext - g_K n^2 (V - V_K) - (g_Na m^2 h + g_NaP m_P(V)) (V - 50) - g_L (V - V_L) + g_c/p (U - V)
        C dU/dt = -g_A a^4 b (U - V_K) - (g_H p^2 q + g_Lo r^2 s)(U - 90) - g_Nad md^2 hd (U - 50) - g_L (U - V_L)
                  - g_AMPA ampa U - g_NMDA B(U) nmda U + g_c/(1 - p) (V - U)
        d ampa/dt = 1.1e-3 Glu (1 - ampa) - 0.19 ampa,  d nmda/dt = 7.2e-5 Glu (1 - nmda) - 6.6e-3 nmda

    **Arguments**

    - `C` [uF/cm^2]; conductances [mS/cm^2]: `g_Na`, `g_NaP`, `g_K` (soma), `g_Nad`, `g_A`, `g_H`, `g_Lo` (dendrite:
      sodium, A-type, high- and low-voltage-activated calcium), `g_L`, `g_AMPA`, `g_NMDA`, `g_c` (coupling).

    Areas of soma and dendrite are equal (p = 1/2). Sodium activation relaxes in 0.05 ms: no Euler step may be longer.

    References: Manninen, Saudargiene & Linne (2020) PLoS Comput Biol 16:e1008360 and its code, ModelDB 266819, with
    channels of Sarid et al. (2007) PNAS 104:16353, Reuveni et al. (1993) J Neurosci 13:4609 and Avery & Johnston (1996)
    J Neurosci 16:5567.
    """

    C: PerRow
    g_Na: PerRow
    g_NaP: PerRow
    g_K: PerRow
    g_Nad: PerRow
    g_A: PerRow
    g_H: PerRow
    g_Lo: PerRow
    g_L: PerRow
    g_AMPA: PerRow
    g_NMDA: PerRow
    g_c: PerRow

    def __init__(self, C=3.0, g_Na=60.0, g_NaP=0.1, g_K=50.0, g_Nad=0.06, g_A=1.0, g_H=0.23, g_Lo=0.23, g_L=0.2,
                 g_AMPA=0.1, g_NMDA=1e-3, g_c=2.1):
        self.C, self.g_Na, self.g_NaP = jnp.asarray(C, float), jnp.asarray(g_Na, float), jnp.asarray(g_NaP, float)
        self.g_K, self.g_Nad, self.g_A = jnp.asarray(g_K, float), jnp.asarray(g_Nad, float), jnp.asarray(g_A, float)
        self.g_H, self.g_Lo, self.g_L = jnp.asarray(g_H, float), jnp.asarray(g_Lo, float), jnp.asarray(g_L, float)
        self.g_AMPA, self.g_NMDA = jnp.asarray(g_AMPA, float), jnp.asarray(g_NMDA, float)
        self.g_c = jnp.asarray(g_c, float)

    def init(self) -> PostsynapticState:
        """The published potentials, with every gate at its steady state and the receptors closed."""
        V, U, zero = jnp.asarray(-68.1057), jnp.asarray(-68.1916), jnp.asarray(0.0)
        return PostsynapticState._make((V, U, *(steady for steady, _ in _gates(V, U)), zero, zero))

    def calcium_current(self, s: PostsynapticState) -> PerRow:
        """Current through calcium channels [uA/cm^2]."""
        return (self.g_H * s.p**2 * s.q + self.g_Lo * s.r**2 * s.s) * (s.U - 90)

    def nmda_current(self, s: PostsynapticState) -> PerRow:
        """Current through NMDA receptors [uA/cm^2], with 1 mM magnesium outside."""
        return self.g_NMDA / (1 + jnp.exp(-0.062 * s.U) / 3.57) * s.nmda * s.U

    def entering(self, s: PostsynapticState) -> PerRow:
        """Calcium entering a spine of 0.5 um radius, half of it buffered [uM/ms]."""
        return -(self.calcium_current(s) + self.nmda_current(s)) / (2 * 96485 * 5e-5 / 3 / 0.5)

    def slope(self, s: PostsynapticState, glutamate: PerRow, injected: PerRow) -> PostsynapticState:
        """Derivative [per ms] at that cleft glutamate [uM] and somatic current [uA/cm^2], positive depolarising."""
        persistent = self.g_NaP * _rises(s.V, -50, 6)
        soma = (self.g_K * s.n**2 * (s.V + 85) + (self.g_Na * s.m**2 * s.h + persistent) * (s.V - 50)
                + self.g_L * (s.V + 70) + 2 * self.g_c * (s.V - s.U) - injected)
        dendrite = (self.g_A * s.a**4 * s.b * (s.U + 85) + self.calcium_current(s) + self.nmda_current(s)
                    + self.g_Nad * s.md**2 * s.hd * (s.U - 50) + self.g_L * (s.U + 70) + self.g_AMPA * s.ampa * s.U
                    + 2 * self.g_c * (s.U - s.V))
        relaxing = ((steady - gate) / tau for gate, (steady, tau) in zip(s[2:13], _gates(s.V, s.U), strict=True))
        ampa = 1.1e-3 * glutamate * (1 - s.ampa) - 0.19 * s.ampa
        nmda = 7.2e-5 * glutamate * (1 - s.nmda) - 6.6e-3 * s.nmda
        return PostsynapticState._make((-soma / self.C, -dendrite / self.C, *relaxing, ampa, nmda))


def _rises(V: PerRow, half: float | int, width: float | int) -> PerRow:
    return 1 / (1 + jnp.exp((half - V) / width))


def _gates(V: PerRow, U: PerRow) -> tuple[tuple[PerRow, PerRow], ...]:
    """Steady state and time constant [ms] of the eleven gates, in the order of the state."""
    warm, warmer = 3 ** ((36 - 23.5) / 10), 2.3 ** ((36 - 21) / 10)
    fixed = lambda tau: jnp.full_like(V, tau)  # noqa: E731
    # inactivation of the A-type channel has two published branches, below and above -63 mV
    b_tau = jnp.where(U < -63, 1 / (jnp.exp((U + 46) / 5) + jnp.exp(-(U + 238) / 37)), 19.0) / warm
    a_tau = (1 / (jnp.exp((U + 36) / 20) + jnp.exp(-(U + 80) / 13)) + 0.37) / warm
    p_on, p_off = 0.055 * 3.8 / phi1((U + 27) / 3.8), 0.94 * jnp.exp(-(U + 75) / 17)
    q_on, q_off = 4.57e-4 * jnp.exp(-(U + 13) / 50), 6.5e-3 * _rises(U, -15, 28)
    return (
        (_rises(V, -17, 11), fixed(0.05)),
        (_rises(V, -23, -11.5), fixed(0.5)),
        (_rises(V, -17, 13.6), fixed(2.0)),
        (_rises(U, -17, 11), fixed(0.05)),
        (_rises(U, -23, -11.5), fixed(0.5)),
        (_rises(U, -40, 8.5), a_tau),
        (_rises(U, -49, -6), b_tau),
        (p_on / (p_on + p_off), 1 / (p_on + p_off)),
        (q_on / (q_on + q_off), 1 / (q_on + q_off)),
        (_rises(U, -40, 6), (5 + 20 * _rises(U, -35, -5)) / warmer),
        (_rises(U, -90, -6.4), (20 + 50 * _rises(U, -50, -7)) / warmer),
    )
