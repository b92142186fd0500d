"""Bodies that move: people, and chains of rigid links."""

from equijax.data.motion.articulated import CHAIN, Articulated, Link, articulated
from equijax.data.motion.capture import MotionCapture, motion_capture, windows

__all__ = ["CHAIN", "Articulated", "Link", "MotionCapture", "articulated", "motion_capture", "windows"]
