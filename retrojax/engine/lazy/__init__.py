"""The lazy schedule: a synapse is touched when its axon spikes, and at field steps; never in between.

Read in this order: `layout` (what a row holds), `wiring` (where it lies), `state`, `collect` (which synapses have what
pending), `replay` (the kernel over them), `block` (the loop).
"""
