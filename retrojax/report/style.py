"""Colours of the figures of a fit; they stay apart for colour-blind readers."""

DATA, MODEL, HELD, SPREAD = "black", "#0072b2", "#d55e00", "#999999"
