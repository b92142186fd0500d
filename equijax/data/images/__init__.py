"""Images with labels, and images that move."""

from equijax.data.images.digits import Digits, affine_digits, digits, pad
from equijax.data.images.mini3d import Mini3D, Scenes, mini3d
from equijax.data.images.moving import MovingDigits, flowing_digits, rotating_digits
from equijax.data.images.pictures import picture_crops
from equijax.data.images.transforms2d import TRANSFORMS, Transforms2D, transforms2d

__all__ = [
    "TRANSFORMS",
    "Digits",
    "Mini3D",
    "MovingDigits",
    "Scenes",
    "Transforms2D",
    "affine_digits",
    "digits",
    "flowing_digits",
    "mini3d",
    "pad",
    "picture_crops",
    "rotating_digits",
    "transforms2d",
]
