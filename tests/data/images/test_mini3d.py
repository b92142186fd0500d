"""Small scenes: a known pose is where it has to be, rays meet spheres where a formula says, files are whole."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import data
from equijax.data.images import tracing
from equijax.data.images.mini3d import draw_latents, draw_objects, main, render, rotations
from equijax.data.images.tracing import Boxes

POSE = np.array([[0.4, -1.1, 0.8, 2 / 3, 0.3, 1.0, 0.0]], np.float32)  # a blue floor, a red light
look = jax.jit(tracing.look, static_argnums=5)
COLORS = jnp.ones((4, 3)), jnp.array([0.2, 0.4, 0.6]), jnp.ones(3)


def balls(centers, radii):
    centers = jnp.asarray(centers, jnp.float32)
    return Boxes(centers, jnp.zeros_like(centers), jnp.asarray(radii, jnp.float32), jnp.zeros(len(radii)))


def pixel(point, size=48):
    """Where a point of the world is in an image: row and column, by the formula of a pinhole."""
    eye = tracing.CAMERA * np.array([0.5**0.5, 0, 0.5**0.5])
    away, right, up = -eye / tracing.CAMERA, np.array([0, 1, 0]), np.array([-(0.5**0.5), 0, 0.5**0.5])
    seen = np.array([-up @ (point - eye), right @ (point - eye)]) / (away @ (point - eye)) / tracing.OPENING
    return (seen + 1) * size / 2 - 0.5


def test_a_known_pose_is_rendered_where_it_has_to_be():
    """A ball at p of the object is seen at R p + t with R = Rz Ry Rx; Rᵀ, or the turns in another order, miss it."""
    p, t = np.array([0.7, 0.3, -0.2]), np.array([0.1, -0.2, 0.3])
    (turn,) = rotations(POSE)
    x, y, z = (rotations(np.eye(3)[k : k + 1] * POSE[0, :3])[0] for k in range(3))
    np.testing.assert_allclose(turn, z @ y @ x, atol=1e-6)
    hidden = balls([p, [0, 0, -9], [0, 0, -9], [0, 0, -9]], [0.1] * 4)  # three below the floor
    _, hit = look(
        hidden, jnp.asarray(turn, jnp.float32), jnp.asarray(t, jnp.float32), jnp.array([0.0, 0, 4]), COLORS, 48
    )
    middle = np.argwhere(hit).mean(axis=0)
    assert np.abs(middle - pixel(turn @ p + t)).max() < 0.5
    for wrong in (turn.T @ p + t, x @ y @ z @ p + t, turn @ (p + t)):
        assert np.abs(middle - pixel(wrong)).max() > 2
    # the same by the latents, in their order: a red ball on a blue floor
    ball = Boxes(*(np.asarray(a)[None] for a in balls([p] * 4, [0.1] * 4)))
    (image,) = render(ball, np.append(POSE, [t.astype(np.float32)], axis=1), 48).astype(int)
    red = np.argwhere(image[..., 0] > 1.5 * image[..., 2])
    assert len(red) > 10
    assert np.abs(red.mean(axis=0) - pixel(turn @ p + t)).max() < 0.5
    # the floor in the corners, of hue 2/3 in red light from the polar angle 0.3 and the azimuth 1
    light = 4 * np.array([np.sin(0.3) * np.cos(1.0), np.sin(0.3) * np.sin(1.0), np.cos(0.3)])
    eye, rays = (np.asarray(a, float) for a in tracing.camera(48))
    for row, column in ((0, 0), (0, 47), (47, 0), (47, 47)):
        floor = eye + (-1 - eye[2]) / rays[row, column, 2] * rays[row, column]
        lambert = (light - floor)[2] / np.linalg.norm(light - floor)
        expected = np.array([0.24, 0.24, 0.6]) * (0.35 + 0.65 * lambert * np.array([1.0, 0.4, 0.4]))
        assert np.abs(image[row, column] - 255 * expected).max() < 2


def test_rays_meet_spheres_and_floors_are_lit_as_formulas_say():
    ball, still = balls([[0, 0, 0]] * 4, [0.5] * 4), jnp.eye(3)
    light = jnp.array([0.0, 0.0, 4.0])
    image, hit = (np.asarray(a) for a in look(ball, still, jnp.zeros(3), light, COLORS, 48))
    eye, rays = (np.asarray(a, float) for a in tracing.camera(48))
    towards = rays @ eye
    inside = towards**2 - (eye @ eye - 0.25)  # of the roots of ‖eye + s ray‖ = ½
    clear = np.abs(inside) > 0.02  # but for grazing rays
    np.testing.assert_array_equal(hit[clear], (inside > 0)[clear])
    along = -towards - np.sqrt(np.maximum(inside, 0))
    points = eye + along[..., None] * rays
    to_light = np.asarray(light) - points
    lambert = (2 * points * to_light).sum(-1) / np.linalg.norm(to_light, axis=-1)  # the normal of a ball is p / r
    bright = hit & (lambert > 0.3)
    np.testing.assert_allclose(image[bright], (0.35 + 0.65 * lambert[bright])[:, None] * np.ones(3), atol=0.01)
    # a floor far from the shadow, and in the middle of it
    floor = eye + ((-1 - eye[2]) / rays[..., 2])[..., None] * rays
    far = np.linalg.norm(floor - np.asarray(light), axis=-1)
    lit = (~hit) & (rays[..., 2] < 0) & (np.linalg.norm(floor[..., :2], axis=-1) > 1.5)
    assert lit.sum() > 50
    expected = (0.35 + 0.65 * 5 / far[lit])[:, None] * np.asarray(COLORS[1])
    np.testing.assert_allclose(image[lit], expected, atol=0.01)
    dark = (~hit) & (rays[..., 2] < 0) & (np.linalg.norm(floor[..., :2], axis=-1) < 0.4)
    assert dark.sum() > 5
    np.testing.assert_allclose(image[dark], 0.35 * np.asarray(COLORS[1]) * np.ones((dark.sum(), 1)), atol=0.02)


def test_few_steps_find_what_many_find():
    boxes = Boxes(*(jnp.asarray(a[1, 0]) for a in draw_objects(np.random.default_rng(1), 2, 1)))
    turn = jnp.asarray(rotations(POSE)[0], jnp.float32)
    eye, rays = tracing.camera(32)
    march = jax.jit(tracing._march, static_argnums=3)
    (few, hit), (many, all_hit) = (march(boxes, eye @ turn, rays @ turn, n) for n in (tracing.STEPS, 200))
    assert (hit != all_hit).mean() < 0.003
    both = np.asarray(hit & all_hit)
    assert np.quantile(np.abs(few - many)[both], 0.98) < 0.01  # but for grazing rays


SMALL = {"classes": 2, "instances": 3, "views": 4, "held_out": 1, "size": 16}


def test_sets_are_split_by_object_and_kept_in_a_file(tmp_path, capsys):
    path = tmp_path / "scenes" / "small.npz"
    made = data.mini3d(**SMALL, cache=path)
    assert os.listdir(path.parent) == ["small.npz"]
    assert made.train.images.shape == (4, 4, 16, 16, 3)
    assert made.train.images.dtype == np.uint8
    assert (made.test.classes.tolist(), made.test.instances.tolist()) == ([0, 1], [2, 2])
    np.testing.assert_allclose(
        made.train.rotations.reshape(-1, 3, 3), rotations(made.train.latents.reshape(-1, 7)), atol=1e-6
    )
    assert (made.train.images.reshape(16, -1).std(axis=1) > 5).all()
    main([f"--{k.replace('_', '-')}={v}" for k, v in SMALL.items()] + ["--output", str(path)])
    assert "4 objects of 4 views, 2 objects of 4 views (training, test)" in capsys.readouterr().out
    for one, other in zip(made.test, data.mini3d(**SMALL, cache=path).test, strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match=r"holds classes=2 .* expected classes=2 .*seed=1; remove it or name another"):
        data.mini3d(**SMALL, seed=1, cache=path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="not written by mini3d, or damaged"):
        data.mini3d(**SMALL, cache=path)
    with pytest.raises(ValueError, match=r"cache: expected a file, got the folder .*; pass .*mini3d\.npz"):
        data.mini3d(**SMALL, cache=tmp_path)


def test_latents_have_their_ranges():
    usual, unusual = (draw_latents(np.random.default_rng(0), 4000, True, flag) for flag in (False, True))
    low, high = (
        np.array([-np.pi / 2] * 3 + [0, 0, 0, 0] + [-0.5] * 3),
        np.array([np.pi / 2] * 3 + [1, np.pi / 4, 2 * np.pi, 1] + [0.5] * 3),
    )
    np.testing.assert_allclose(usual.min(axis=0), low, atol=0.01)
    np.testing.assert_allclose(usual.max(axis=0), high, atol=0.01)
    np.testing.assert_allclose(usual.mean(axis=0), (low + high) / 2, atol=0.1)
    assert np.abs(unusual[:, :3]).min() >= np.pi / 2 - 1e-6
    assert np.pi - 0.01 < np.abs(unusual[:, :3]).max() <= np.pi + 1e-6


BAD = [
    ({"held_out": 3, "instances": 3}, "held_out: expected fewer than the 3 instances of a class, got 3"),
    ({"classes": 0}, "classes: expected an integer of at least 1"),
    ({"size": 4}, "size: expected an integer of at least 8"),
]


@pytest.mark.parametrize(("options", "message"), BAD, ids=[message for _, message in BAD])
def test_errors_name_the_argument(options, message):
    with pytest.raises(ValueError, match=message):
        data.mini3d(**options)
