"""Random views of data, for self-supervision: functions (key, sample) -> (view, parameters), of one sample each."""

from equijax.views.color import contrast, from_hsv, hue_turn, saturate
from equijax.views.composition import Composition, GroupView, action, compose
from equijax.views.fields import gaussian_field
from equijax.views.local import LocalParameters, apply_local, local_source, random_field
from equijax.views.masks import cox_counts, cox_mask, cox_mean
from equijax.views.sequences import sequence_views
from equijax.views.spectra import Spectra, fourier, gabor, morlet, spectra, wave_weights
from equijax.views.temporal import clip_interval, temporally_consistent

__all__ = [
    "Composition",
    "GroupView",
    "LocalParameters",
    "Spectra",
    "action",
    "apply_local",
    "clip_interval",
    "compose",
    "contrast",
    "cox_counts",
    "cox_mask",
    "cox_mean",
    "fourier",
    "from_hsv",
    "gabor",
    "gaussian_field",
    "hue_turn",
    "local_source",
    "morlet",
    "random_field",
    "saturate",
    "sequence_views",
    "spectra",
    "temporally_consistent",
    "wave_weights",
]
