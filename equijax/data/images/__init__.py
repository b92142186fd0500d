"""Images with labels, and images that move."""

from equijax.data.images.digits import Digits, affine_digits, digits, pad
from equijax.data.images.moving import MovingDigits, flowing_digits, rotating_digits
from equijax.data.images.pictures import picture_crops

__all__ = [
    "Digits",
    "MovingDigits",
    "affine_digits",
    "digits",
    "flowing_digits",
    "pad",
    "picture_crops",
    "rotating_digits",
]
