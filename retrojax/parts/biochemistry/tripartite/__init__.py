"""Tripartite synapse of Manninen, Saudargiene & Linne (2020): both neurons, an astrocyte, and what joins them."""

from retrojax.parts.biochemistry.tripartite.astrocyte import Astrocyte as Astrocyte
from retrojax.parts.biochemistry.tripartite.cascade import GlutamateCascade as GlutamateCascade
from retrojax.parts.biochemistry.tripartite.postsynaptic import PostsynapticMembrane as PostsynapticMembrane
from retrojax.parts.biochemistry.tripartite.presynaptic import PresynapticTerminal as PresynapticTerminal
from retrojax.parts.biochemistry.tripartite.synapse import (
    TripartiteState as TripartiteState,
    TripartiteSynapse as TripartiteSynapse,
)

__all__ = ["Astrocyte", "GlutamateCascade", "PostsynapticMembrane", "PresynapticTerminal", "TripartiteState",
           "TripartiteSynapse"]
