"""Images with labels."""

from equijax.data.images.digits import Digits, affine_digits, digits, pad

__all__ = ["Digits", "affine_digits", "digits", "pad"]
