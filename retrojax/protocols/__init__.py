"""Experimental protocols: spike times of a pre/post pair, and sleep as patches of a model over time."""

from retrojax.protocols.pairing import Protocol as Protocol, bursts as bursts, pairs as pairs, triplets as triplets

__all__ = ["Protocol", "bursts", "pairs", "triplets"]
