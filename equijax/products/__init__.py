"""Products of spherical features: of the functions they stand for, by paths, and with filters around an edge."""

from equijax.products.convolution import convolution
from equijax.products.many_body import double_bracket, many_body
from equijax.products.paths import clebsch_gordan
from equijax.products.planner import Plan, plan
from equijax.products.pointwise import bracket, gaunt, power
from equijax.products.separate import clebsch_gordan_separate, separate_paths
from equijax.products.weighted import paths

__all__ = [
    "Plan",
    "bracket",
    "clebsch_gordan",
    "clebsch_gordan_separate",
    "convolution",
    "double_bracket",
    "gaunt",
    "many_body",
    "paths",
    "plan",
    "power",
    "separate_paths",
]
