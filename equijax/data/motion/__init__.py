"""People that move."""

from equijax.data.motion.capture import MotionCapture, motion_capture, windows

__all__ = ["MotionCapture", "motion_capture", "windows"]
