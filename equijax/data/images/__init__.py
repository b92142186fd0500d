"""Images with labels."""

from equijax.data.images.digits import Digits, affine_digits, digits, pad
from equijax.data.images.pictures import picture_crops

__all__ = ["Digits", "affine_digits", "digits", "pad", "picture_crops"]
