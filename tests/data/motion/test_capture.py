"""Clips of motion capture: frames, joints that are one, bones between those that are left, windows, damaged files."""

import numpy as np
import pytest

from equijax import data

RNG = np.random.default_rng(0)
PARENTS = np.array([-1, 0, 1, 2, 3])  # a chain; joint 1 is where the root is, and 4 where 3 is


def clip(frames):
    x = RNG.normal(size=(frames, 5, 3)).astype(np.float32)
    x[:, 1], x[:, 4] = x[:, 0], x[:, 3]
    return x


def file(folder, **other):
    arrays = {f"train_walking_{k}": clip(10 + k) for k in (1, 2, 10)} | {"test_walking_1": clip(9)}
    np.savez(folder / "joints60hz.npz", **arrays | {"parents": PARENTS, "fps": 60.0} | other)
    return arrays


def test_reads_clips_at_half_the_rate_with_joints_that_are_apart(tmp_path):
    arrays = file(tmp_path)
    found = data.motion_capture(tmp_path)
    assert [len(c) for c in found.train["walking"]] == [6, 6, 10]  # in order of their numbers
    np.testing.assert_array_equal(found.test["walking"][0], arrays["test_walking_1"][::2, [0, 2, 3]])
    assert found.parents.tolist() == [-1, 0, 1]
    assert found.fps == 30
    whole = data.motion_capture(tmp_path / "joints60hz.npz", fps=60, distinct=False)
    np.testing.assert_array_equal(whole.train["walking"][2], arrays["train_walking_10"])
    assert whole.parents.tolist() == PARENTS.tolist()


def test_windows_keep_joints_and_frames_in_place():
    clips = [clip(6), clip(3), clip(4)]
    found = data.windows(clips, 4)
    assert found.shape == (4, 5, 4, 3)
    np.testing.assert_array_equal(found[1, 2], clips[0][1:5, 2])
    np.testing.assert_array_equal(found[-1], clips[2].swapaxes(0, 1))
    assert len(data.windows(clips, 2, stride=2)) == 3 + 1 + 2
    with pytest.raises(ValueError, match=r"clips: expected one of 9 frames at least, got \[6, 3, 4\]"):
        data.windows(clips, 9)


def test_bad_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing: not found; pass the folder that holds joints60hz\.npz"):
        data.motion_capture(tmp_path / "nothing")
    file(tmp_path)
    with pytest.raises(ValueError, match=r"fps: expected one of 60, 30, 20, .* got 25"):
        data.motion_capture(tmp_path, fps=25)
    for name, array in (
        ("train_walking_1", clip(9)[:, :4]),
        ("walking", clip(9)),
        ("test_a_1", np.full((9, 5, 3), np.nan)),
    ):
        file(tmp_path, **{name: array})
        with pytest.raises(ValueError, match=f"expected finite arrays .* got {name} of shape"):
            data.motion_capture(tmp_path)
    np.savez(tmp_path / "joints60hz.npz", parents=PARENTS, fps=60.0, train_a_1=clip(9))
    with pytest.raises(ValueError, match="expected clips to train and to test on"):
        data.motion_capture(tmp_path)
    (tmp_path / "joints60hz.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match="not readable as joints60hz"):
        data.motion_capture(tmp_path)
