"""Action of a gliotransmitter on the terminal: depression or facilitation by one parameter."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from retrojax.parts.base import AbstractRule, Expression
from retrojax.types import PerRow


class GliotransmissionState(NamedTuple):
    """`Gamma_S`: share of presynaptic receptors activated; `on_p`: factor on the release probability."""

    Gamma_S: PerRow
    on_p: PerRow


class Gliotransmission(AbstractRule):
    """Presynaptic receptors that move the release probability of a rested terminal from P towards `alpha`.

        dGamma_S/dt = O_G G (1 - Gamma_S) - Omega_G Gamma_S,     P -> (1 - Gamma_S) P + alpha Gamma_S

    exact for a concentration G held over the field step. `alpha` below P depresses and above P facilitates: it is the
    sign of gliotransmission.

    **Arguments**

    - `senses`: name of the gliotransmitter.
    - `alpha`: release probability at full activation.
    - `O_G` [1/(nM ms)], `Omega_G` [1/ms]: activation and its end.

    The default `Omega_G` (120 s) is that of the model; the transients of Covelo & Araque (2018) eLife 7:e32237 last
    5 to 10 s.

    References: De Pitta, Volman, Berry & Ben-Jacob (2011) PLoS Comput Biol 7:e1002293; De Pitta & Brunel (2016) Neural
    Plast 2016:7607924.
    """

    senses: str = eqx.field(static=True)
    alpha: PerRow
    O_G: PerRow
    Omega_G: PerRow

    def __init__(self, senses: str = "glutamate", alpha=0.0, O_G=1.5e-6, Omega_G=0.5 / 60e3):
        self.senses = senses
        self.alpha, self.O_G = jnp.asarray(alpha, float), jnp.asarray(O_G, float)
        self.Omega_G = jnp.asarray(Omega_G, float)

    def init(self, shape: tuple[int, ...]) -> GliotransmissionState:
        return GliotransmissionState(jnp.zeros(shape), jnp.ones(shape))

    def field(
        self, s: GliotransmissionState, concentration: PerRow, elapsed: PerRow, expression: Expression,
        pre: tuple[PerRow, ...],
    ) -> GliotransmissionState:
        speed = self.O_G * concentration + self.Omega_G
        target = self.O_G * concentration / speed
        Gamma_S = target + (s.Gamma_S - target) * jnp.exp(-speed * elapsed)
        P = jnp.maximum(expression.p_release, 1e-3)  # a factor cannot wake a terminal that never releases
        return GliotransmissionState(Gamma_S, 1 - Gamma_S + self.alpha * Gamma_S / P)

    def factor(self, s: GliotransmissionState) -> PerRow:
        return s.on_p
