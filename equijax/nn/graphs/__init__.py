"""Layers of graphs: messages, radial functions, all pairs."""
