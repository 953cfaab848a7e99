"""Bistable autophosphorylation of CaMKII, with PP1 and inhibitor 1 (Graupner & Brunel 2007)."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from retrojax.types import PerRow

RING = (0.23316029213700182, 0.0034298074889746086, 0.00028889779878196254, 0.00013756133483052541,
        3.6365976788029681e-05, 4.1274017451676494e-06, 4.2498580055485264e-06, 1.2513942987290664e-07,
        3.2696082960591099e-07, 4.5484170099234244e-08, 3.078127923587743e-08, 2.7970211543431621e-09,
        1.3221817318283754e-11)


class KinaseState(NamedTuple):
    """`B`: rings in each of the 13 phosphorylated states [uM]; `PP1`: free phosphatase, `I1`: its inhibitor [uM]."""

    B: tuple[PerRow, ...]
    PP1: PerRow
    I1: PerRow


class BistableCaMKII(eqx.Module):
    """Rings of six subunits phosphorylate their neighbours; time in s, concentrations in uM.

    B1..B13 are the distinguishable patterns of 1, 2 (B2-B4), 3 (B5-B8), 4 (B9-B11), 5 and 6 phosphorylated subunits, B0
    none. With gamma = CaM/(K5 + CaM) a fresh pair phosphorylates at a = k6 gamma^2, a subunit beside a phosphorylated
    one at b = k7 gamma, and every phosphorylated subunit is freed at q = k12 PP1/(K_M + p), p being their number:

        CaM = 0.07052/(1 + 0.4/Ca + 0.128/Ca^2 + 3.2e-3/Ca^3 + 3.2e-4/Ca^4)
        dPP1/dt = -500 I1 PP1 + 0.1 (0.2 - PP1)
        dI1/dt = dPP1/dt + 0.0025 + 4.67/(1 + (0.159/CaM)^3) - I1 (0.05 + 20.5/(1 + (0.053/CaM)^3))
        W_post = 1 + 3.5 p/164.6

    **Arguments**

    - `total`: rings [uM]. `k6`, `k7` [1/s], `K5` [uM]: phosphorylation. `k12` [1/s], `K_M` [uM]: dephosphorylation.

    References: Graupner & Brunel (2007) PLoS Comput Biol 3:e221; parameters of Cui et al. (2016) eLife 5:e13185 (code,
    ModelDB 187605).
    """

    total: PerRow
    k6: PerRow
    k7: PerRow
    K5: PerRow
    k12: PerRow
    K_M: PerRow

    def __init__(self, total=33.2, k6=6.0, k7=6.0, K5=0.1, k12=6000.0, K_M=0.4):
        self.total, self.k6, self.k7 = jnp.asarray(total, float), jnp.asarray(k6, float), jnp.asarray(k7, float)
        self.K5, self.k12, self.K_M = jnp.asarray(K5, float), jnp.asarray(k12, float), jnp.asarray(K_M, float)

    def init(self) -> KinaseState:
        """The unphosphorylated of the two stable states at resting calcium."""
        return KinaseState(tuple(map(jnp.asarray, RING)), jnp.asarray(0.00093939509311232795),
                           jnp.asarray(0.042380592866431144))

    def phosphorylated(self, s: KinaseState) -> PerRow:
        """Phosphorylated subunits p [uM]."""
        B1, B2, B3, B4, B5, B6, B7, B8, B9, B10, B11, B12, B13 = s.B
        return B1 + 2 * (B2 + B3 + B4) + 3 * (B5 + B6 + B7 + B8) + 4 * (B9 + B10 + B11) + 5 * B12 + 6 * B13

    def weight(self, s: KinaseState) -> PerRow:
        """Postsynaptic weight relative to no phosphorylation."""
        return 1 + 3.5 * self.phosphorylated(s) / 164.6

    def slope(self, s: KinaseState, Ca: PerRow) -> KinaseState:
        """Derivative [per s] at that calcium [uM]."""
        inverse = 1 / Ca
        CaM = 0.07052 / (1 + inverse * (0.4 + inverse * (0.128 + inverse * (3.2e-3 + inverse * 3.2e-4))))
        gamma = CaM / (self.K5 + CaM)
        freed = self.k12 * s.PP1 / (self.K_M + self.phosphorylated(s))
        PP1 = -500 * s.I1 * s.PP1 + 0.1 * (0.2 - s.PP1)
        made = 0.0025 + 4.67 / (1 + (0.159 / CaM) ** 3)
        I1 = PP1 + made - s.I1 * (0.05 + 20.5 / (1 + (0.053 / CaM) ** 3))
        return KinaseState(self._ring(s.B, self.k6 * gamma**2, self.k7 * gamma, freed), PP1, I1)

    def _ring(self, B: tuple[PerRow, ...], a: PerRow, b: PerRow, q: PerRow) -> tuple[PerRow, ...]:
        B1, B2, B3, B4, B5, B6, B7, B8, B9, B10, B11, B12, B13 = B
        B0 = self.total - sum(B)
        return (
            6 * a * B0 - (4 * a + b + q) * B1 + 2 * q * (B2 + B3 + B4),
            (a + b) * B1 - (3 * a + b + 2 * q) * B2 + q * (2 * B5 + B6 + B7),
            2 * a * B1 - 2 * (a + b + q) * B3 + q * (B5 + B6 + B7 + 3 * B8),
            a * B1 - 2 * (a + b + q) * B4 + q * (B6 + B7),
            b * (B2 + B3 - B5) + a * (B2 - 2 * B5) + q * (2 * B9 + B10 - 3 * B5),
            a * (B2 + B3 - B6) + 2 * b * (B4 - B6) + q * (B9 + B10 + 2 * B11 - 3 * B6),
            a * (B2 + 2 * B4 - B7) + b * (B3 - 2 * B7) + q * (B9 + B10 + 2 * B11 - 3 * B7),
            a * B3 - 3 * b * B8 + q * (B10 - 3 * B8),
            b * (B5 + B6 + B7 - B9) + a * (B5 - B9) + q * (2 * B12 - 4 * B9),
            a * (B5 + B6) + b * (B7 + 3 * B8 - 2 * B10) + q * (2 * B12 - 4 * B10),
            b * (B6 - 2 * B11) + a * B7 + q * (B12 - 4 * B11),
            a * B9 + b * (B9 + 2 * B10 + 2 * B11 - B12) + q * (6 * B13 - 5 * B12),
            b * B12 - 6 * q * B13,
        )
