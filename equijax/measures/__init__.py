"""How far from symmetric, as a number: pure functions that can be jitted, differentiated and used as a loss."""

from equijax.measures.equivariance import equivariance_error
from equijax.measures.lie_derivative import lie_derivative

__all__ = ["equivariance_error", "lie_derivative"]
