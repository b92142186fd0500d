"""Layers of features on Lie groups: lifting, correlation, networks for kernels."""
