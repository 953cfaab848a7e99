"""Experimental protocols: spike times of a pre/post pair, drugs and genotypes."""

from retrojax.protocols.pairing import Protocol as Protocol, bursts as bursts, pairs as pairs, triplets as triplets
from retrojax.protocols.pharmacology import treated as treated

__all__ = ["Protocol", "bursts", "pairs", "treated", "triplets"]
