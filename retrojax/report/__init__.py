"""Figures, made from what a run or a fit left in its folder."""
