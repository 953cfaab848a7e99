"""Experimental protocols: spike times of a pre/post pair, drugs and genotypes."""

from retrojax.protocols.pairing import Protocol as Protocol, bursts as bursts, pairs as pairs, triplets as triplets
from retrojax.protocols.pharmacology import treated as treated
from retrojax.protocols.stepped_pairing import Pairing as Pairing, Steps as Steps, pair_by_steps as pair_by_steps

__all__ = ["Pairing", "Protocol", "Steps", "bursts", "pair_by_steps", "pairs", "treated", "triplets"]
