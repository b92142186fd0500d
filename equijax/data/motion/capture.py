"""Motion capture: joints of people who walk, run, jump and play."""

import re
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from equijax._validate import integer

FILE = "joints60hz.npz"
COINCIDENT = 1e-2  # of the file's units: joints that are never further apart are one


class MotionCapture(NamedTuple):
    """Clips by action, and the skeleton."""

    train: dict[str, list[Float[np.ndarray, "frames joints 3"]]]
    """Joint positions in millimeters, the second coordinate upwards."""
    test: dict[str, list[Float[np.ndarray, "frames joints 3"]]]
    parents: Int[np.ndarray, " joints"]
    """The joint at the other end of each bone; −1 at the root."""
    fps: float


def motion_capture(path: str | Path, *, fps: int | float = 30, distinct: bool = True) -> MotionCapture:
    """Clips of the CMU motion capture database, from a file that you have.

    Args:
        path: Folder with `joints60hz.npz`, or that file: arrays `train_ACTION_NUMBER` and `test_ACTION_NUMBER` of shape
            (frames, joints, 3), `parents` of shape (joints,) and `fps`.
        fps: Frames a second to keep, of which those of the file are a multiple: each so many-th one, from the first.
        distinct: Keep one joint of those that are at one place in all clips, as bones of length zero make them.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged or holds other arrays, or `fps` does not divide that of the file.

    References:
        Carnegie Mellon University Graphics Lab, mocap.cs.cmu.edu (created with funding from NSF EIA-0196217).

    Examples:
        >>> motion_capture("folder/of/cmu-mocap").train["walking"][0].shape  # doctest: +SKIP
        (86, 28, 3)
    """
    file = Path(path) / FILE if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"{file}: not found; pass the folder that holds {FILE}")
    try:
        with np.load(file) as arrays:
            found = dict(arrays)
        parents, rate = np.asarray(found.pop("parents"), int), float(found.pop("fps"))
    except (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{file}: not readable as {FILE}, or damaged; copy it again ({error})") from error
    every = round(rate / fps) if fps > 0 else 0
    if every < 1 or not np.isclose(every * fps, rate):
        raise ValueError(f"fps: expected one of {rate:g}, {rate / 2:g}, {rate / 3:g}, ... of the file, got {fps:g}")
    sets: dict[str, dict[str, list[np.ndarray]]] = {"train": {}, "test": {}}
    for name in sorted(found, key=lambda name: (re.sub(r"\d+$", "", name), len(name), name)):  # 2 before 10
        clip, said = found[name], re.fullmatch(r"(train|test)_(\w+)_\d+", name)
        if said is None or clip.ndim != 3 or clip.shape[1:] != (len(parents), 3) or not np.isfinite(clip).all():
            raise ValueError(
                f"{file}: expected finite arrays train_ACTION_NUMBER and test_ACTION_NUMBER of shape "
                f"(frames, {len(parents)}, 3), got {name} of shape {clip.shape}"
            )
        sets[said[1]].setdefault(said[2], []).append(clip[::every])
    if not sets["train"] or not sets["test"]:
        raise ValueError(f"{file}: expected clips to train and to test on, got {sorted(found) or 'none'}")
    if distinct:
        place = _first_at_its_place([clip for clips in sets["train"].values() for clip in clips])
        keep = np.unique(place)
        sets = {s: {a: [clip[:, keep] for clip in clips] for a, clips in of.items()} for s, of in sets.items()}
        parents = _parents(parents, place, keep)
    return MotionCapture(sets["train"], sets["test"], parents, rate / every)


def windows(
    clips: Iterable[Float[np.ndarray, "_ joints 3"]], frames: int, stride: int = 1
) -> Float[np.ndarray, "B joints frames 3"]:
    """All windows of so many frames of the clips, each joint with its frames, as `models.EqMotion` takes them.

    Args:
        clips: Shorter ones have no window.
        frames: Of a window.
        stride: Frames from the begin of a window to that of the next.

    Raises:
        ValueError: If no clip is long enough.

    Examples:
        >>> windows([np.zeros((12, 28, 3)), np.zeros((9, 28, 3))], 10).shape
        (3, 28, 10, 3)
    """
    frames, stride, clips = integer("frames", frames, 1), integer("stride", stride, 1), list(clips)
    long = [clip for clip in clips if len(clip) >= frames]
    if not long:
        raise ValueError(f"clips: expected one of {frames} frames at least, got {[len(clip) for clip in clips]}")
    cut = [np.lib.stride_tricks.sliding_window_view(clip, frames, axis=0)[::stride] for clip in long]
    return np.concatenate([np.swapaxes(a, 2, 3) for a in cut])  # from (B, joints, 3, frames)


def _first_at_its_place(clips):
    """For each joint the first one that is always where it is."""
    apart = np.max([np.abs(clip[:, :, None] - clip[:, None]).max(axis=(0, 3)) for clip in clips], axis=0)
    return np.argmax(apart < COINCIDENT, axis=1)


def _parents(parents, place, keep):
    """Parents of the joints that are kept: the first one up the tree that is at another place."""
    found = []
    for joint in keep:
        up = parents[joint]
        while up >= 0 and place[up] == joint:
            up = parents[up]
        found.append(-1 if up < 0 else int(np.searchsorted(keep, place[up])))
    return np.array(found)
