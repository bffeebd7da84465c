"""Figures of a board, one idea per file; each returns a matplotlib Figure and touches no global state of matplotlib.

All of them are made in `plot.py`.
"""
