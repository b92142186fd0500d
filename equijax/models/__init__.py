"""Models, one file a paper, made of layers of `equijax.nn` and transforms only."""

from equijax.models import parot, potential
from equijax.models.apen import APEN
from equijax.models.egnn import EGNN
from equijax.models.eqmotion import EqMotion, Forecast
from equijax.models.fernn import FERNN, FERNNClassifier
from equijax.models.gaunt_network import GauntNetwork
from equijax.models.graph_network import GraphNetwork
from equijax.models.local_frame_network import LocalFrameNetwork
from equijax.models.nequip import NequIP
from equijax.models.parot import PaRot
from equijax.models.potential import Potential
from equijax.models.set_network import SetNetwork
from equijax.models.shift_transformer import ShiftTransformer

__all__ = [
    "APEN",
    "EGNN",
    "FERNN",
    "EqMotion",
    "FERNNClassifier",
    "Forecast",
    "GauntNetwork",
    "GraphNetwork",
    "LocalFrameNetwork",
    "NequIP",
    "PaRot",
    "Potential",
    "SetNetwork",
    "ShiftTransformer",
    "parot",
    "potential",
]
