"""Figures, as ratios against a peer in the same run. Scripts, not tests: nothing here asserts wall time."""
