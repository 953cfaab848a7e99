"""retrojax: synaptic plasticity with retrograde messengers, in pure-functional JAX."""

__version__ = "0.1.0"
