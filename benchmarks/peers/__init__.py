"""One product, and one convolution, as each package computes them: what tensor_products.py compares.

A module a package. Every package gets its operands in the layout that it works on, so that no conversion is timed;
`back` takes its result to ours. Packages are imported when one of their calls is built.
"""

import importlib
import importlib.metadata

from peers import cuequivariance, e3j, e3nn, e3x, ours
from peers.operands import Call, Entry, Sample, sample

__all__ = ["CONVOLUTION", "PRODUCTS", "Call", "Entry", "Sample", "missing", "sample", "versions"]

PACKAGES = ("e3nn-jax", "e3x", "cuequivariance-jax", "e3j")
PRODUCTS = [entry for package in (ours, e3nn, e3x, cuequivariance, e3j) for entry in package.PRODUCTS]
CONVOLUTION = [entry for package in (ours, e3nn, e3x, cuequivariance, e3j) for entry in package.CONVOLUTION]


def missing():
    """The packages that are not installed."""
    return [name for name in PACKAGES if not _installed(name)]


def _installed(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def versions():
    """The version of each package, None for one that is missing; those that are there are imported."""
    for name in set(PACKAGES) - set(missing()):
        importlib.import_module(name.replace("-", "_"))
    return {name: _installed(name) for name in PACKAGES}
