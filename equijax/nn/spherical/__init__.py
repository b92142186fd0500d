"""Layers of features on the sphere: linear maps, nonlinearities, products."""
