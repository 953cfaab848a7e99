"""The tripartite synapse of Manninen et al. (2020), its parts put together."""

from typing import NamedTuple

import equinox as eqx

from retrojax.numerics import euler
from retrojax.parts.biochemistry.tripartite.astrocyte import Astrocyte, AstrocyteState
from retrojax.parts.biochemistry.tripartite.cascade import KEPT, CascadeState, GlutamateCascade, Leaks
from retrojax.parts.biochemistry.tripartite.postsynaptic import PostsynapticMembrane, PostsynapticState
from retrojax.parts.biochemistry.tripartite.presynaptic import PresynapticState, PresynapticTerminal
from retrojax.types import PerRow


class TripartiteState(NamedTuple):
    """State of every part, under the part's name."""

    pre: PresynapticState
    post: PostsynapticState
    cascade: CascadeState
    astrocyte: AstrocyteState


class Resting(NamedTuple):
    """Leak constants at which calcium rests: of the spine, and of the astrocyte's store [1/ms]."""

    spine: Leaks
    astrocyte: PerRow


class TripartiteSynapse(eqx.Module):
    """Layer 4 to layer 2/3 synapse whose release is depressed through an astrocyte; time in ms, concentrations in uM.

    2-AG of the spine (`GlutamateCascade`) raises calcium of the astrocyte (`Astrocyte`), which releases glutamate onto
    presynaptic NMDA receptors; with the spill-over of the terminal's own release their calcium activates calcineurin
    and depresses release (`PresynapticTerminal`). One instant follows the published code: Euler, then release.

    **Arguments**

    - `pre`, `post`, `cascade`, `astrocyte`: the parts.

    References: Manninen, Saudargiene & Linne (2020) PLoS Comput Biol 16:e1008360; its code, ModelDB 266819.
    """

    pre: PresynapticTerminal
    post: PostsynapticMembrane
    cascade: GlutamateCascade
    astrocyte: Astrocyte

    def __init__(
        self, pre: PresynapticTerminal | None = None, post: PostsynapticMembrane | None = None,
        cascade: GlutamateCascade | None = None, astrocyte: Astrocyte | None = None,
    ):
        self.pre = PresynapticTerminal() if pre is None else pre
        self.post = PostsynapticMembrane() if post is None else post
        self.cascade = GlutamateCascade() if cascade is None else cascade
        self.astrocyte = Astrocyte() if astrocyte is None else astrocyte

    def init(self) -> TripartiteState:
        """The published start."""
        return TripartiteState(self.pre.init(), self.post.init(), self.cascade.init(), self.astrocyte.init())

    def resting(self, s: TripartiteState) -> Resting:
        """Leak constants at which all calcium rests in state `s`."""
        return Resting(self.cascade.leaks(s.cascade, self.post.entering(s.post)), self.astrocyte.leak(s.astrocyte))

    def slope(self, s: TripartiteState, resting: Resting, into_pre: PerRow, into_post: PerRow) -> TripartiteState:
        """Derivative [per ms] with currents into the terminal and the soma [uA/cm^2], positive depolarising."""
        reaching_terminal = (1 - KEPT) * s.cascade.Glu + s.astrocyte.Glu
        return TripartiteState(
            pre=self.pre.slope(s.pre, reaching_terminal, into_pre),
            post=self.post.slope(s.post, KEPT * s.cascade.Glu, into_post),
            cascade=self.cascade.slope(s.cascade, self.post.entering(s.post), resting.spine),
            astrocyte=self.astrocyte.slope(s.astrocyte, s.cascade.AG, resting.astrocyte),
        )

    def step(
        self, s: TripartiteState, resting: Resting, into_pre: PerRow, into_post: PerRow, step: PerRow
    ) -> TripartiteState:
        """State one Euler step [ms] later, with the releases that fell due in it."""
        after = euler(lambda x: self.slope(x, resting, into_pre, into_post), s, step)
        pre, glutamate = self.pre.release(s.pre, after.pre)
        cascade = after.cascade._replace(Glu=after.cascade.Glu + glutamate)
        return TripartiteState(pre, after.post, cascade, self.astrocyte.release(s.astrocyte, after.astrocyte))
