"""The parts the pictures are drawn with, against slow and obvious counterparts."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial import cKDTree

from ltbench.splits.rendering.camera import photograph
from ltbench.splits.rendering.canvas import SIZE, Fault, PoseRange, Scene, coverage, draw_frame, grid
from ltbench.splits.rendering.catalogue import KINDS, OVERLAYS
from ltbench.splits.rendering.light import shade
from ltbench.splits.rendering.marks import beside, patch, path
from ltbench.splits.rendering.noise import LATTICE, cells, clouds, streaks
from ltbench.splits.rendering.picture import Name, render
from ltbench.splits.rendering.shapes import bar, box
from ltbench.splits.rendering.sheet import OUTLINE, contact_sheet, outlined
from ltbench.splits.rendering.streams import between, stream


def test_streams_depend_on_every_key_and_on_their_order() -> None:
    firsts = {
        float(stream(*keys).random())
        for keys in (
            (1, "a", "b"),
            (1, "b", "a"),
            (1, "a"),
            (2, "a", "b"),
            (1, "ab"),
            (1, "a", 0),
            (1, "a", 1),
        )
    }
    assert len(firsts) == 7
    assert stream(1, "a", 3).random() == stream(1, "a", "3").random()


@pytest.mark.parametrize("seed", range(5))
def test_a_window_holds_every_pixel_of_its_box(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame = draw_frame(PoseRange(180, 0.4, 0.2), rng)
    left, top = between(rng, -1, 0.5), between(rng, -1, 0.5)
    right, bottom = left + between(rng, 0.05, 0.5), top + between(rng, 0.05, 0.5)
    window = frame.window(left, top, right, bottom)
    inside = (frame.x >= left) & (frame.x <= right) & (frame.y >= top) & (frame.y <= bottom)
    within = np.zeros_like(inside)
    within[window.box] = True
    assert not (inside & ~within).any()
    assert np.array_equal(frame.x[window.box], window.x)


def test_poses_stay_within_their_limits() -> None:
    for seed in range(20):
        frame = draw_frame(PoseRange(5, 0.04, 0.03), np.random.default_rng(seed))
        assert abs(np.rad2deg(np.arctan2(frame.sine, frame.cosine))) <= 5
        assert max(map(abs, frame.centre)) <= 0.04
        assert 1 / 1.03 <= frame.pixel * SIZE / 2 <= 1 / 0.97


def test_upright_coordinates_undo_the_rotation() -> None:
    frame = draw_frame(PoseRange(180, 0.2, 0.0), np.random.default_rng(4))
    x, y = grid()
    up_x, up_y = frame.upright()
    assert np.allclose(up_x, x - frame.centre[0], atol=1e-5)
    assert np.allclose(up_y, y - frame.centre[1], atol=1e-5)


def test_coverage_sums_to_the_area_of_a_shape() -> None:
    x, y = grid()
    rounded = box(x, y, (0.1, -0.2), (0.3, 0.2), 0.1)
    area = 0.6 * 0.4 - (4 - np.pi) * 0.1**2
    assert coverage(rounded, 2 / SIZE).sum() * (2 / SIZE) ** 2 == pytest.approx(area, rel=4e-3)
    line = bar(x, y, (-0.3, -0.1), (0.2, 0.4), 0.05)
    area = np.hypot(0.5, 0.5) * 0.1 + np.pi * 0.05**2
    assert coverage(line, 2 / SIZE).sum() * (2 / SIZE) ** 2 == pytest.approx(area, rel=4e-3)


def test_clouds_have_the_spectrum_they_are_asked_for() -> None:
    fields = [clouds(np.random.default_rng(seed), 1.5) for seed in range(6)]
    assert all(abs(float(field.mean())) < 1e-3 for field in fields)
    assert all(float(field.std()) == pytest.approx(1, abs=1e-3) for field in fields)
    power = np.mean([np.abs(np.fft.fft2(field)) ** 2 for field in fields], axis=0)
    frequency = np.fft.fftfreq(SIZE, 1 / SIZE)
    radius = np.hypot(frequency[:, None], frequency[None, :])
    means = [np.log(power[(radius >= low) & (radius < low * 1.2)].mean()) for low in (4.0, 64.0)]
    assert (means[1] - means[0]) / np.log(16) == pytest.approx(-3.0, abs=0.15)  # twice the amplitude's slope


def test_streaks_are_long_along_their_direction() -> None:
    field = streaks(np.random.default_rng(0), 80, 1.5, np.deg2rad(90))
    along = np.mean(field * np.roll(field, 10, axis=0))
    across = np.mean(field * np.roll(field, 10, axis=1))
    assert along > 0.6
    assert across < 0.3


def test_cells_know_their_nearest_points() -> None:
    rng = np.random.default_rng(3)
    u, v = (rng.random((2, 60, 60)) * 12 + 5).astype(np.float32)
    first, second, index = cells(np.random.default_rng(9), u, v)
    jitter = np.random.default_rng(9).random((2, LATTICE * LATTICE), dtype=np.float32) * 0.8 + 0.1
    rows, columns = np.divmod(np.arange(LATTICE * LATTICE), LATTICE)
    points = np.stack([columns + jitter[0], rows + jitter[1]], axis=1)
    distances, nearest = cKDTree(points).query(np.stack([u.ravel(), v.ravel()], axis=1), k=2)
    assert np.allclose(first.ravel(), distances[:, 0], atol=1e-4)
    assert np.array_equal(index.ravel(), nearest[:, 0])
    assert np.mean(np.abs(second.ravel() - distances[:, 1]) < 1e-4) > 0.99


def test_slopes_that_face_the_light_are_brighter() -> None:
    x, y = np.meshgrid(np.arange(40, dtype=np.float32), np.arange(40, dtype=np.float32))
    for height, expected in ((0 * x, 1.0), (x + y, 1.5), (-x - y, 0.0)):
        diffuse, highlight = shade(height * np.float32(0.5), shine=2)
        assert np.ptp(diffuse) < 1e-5
        assert 0 <= highlight.min() <= highlight.max() <= 1
        assert np.sign(diffuse[0, 0] - 1) == np.sign(expected - 1) or diffuse[0, 0] == pytest.approx(expected)


def test_the_camera_stays_within_its_limits() -> None:
    grey = np.full((3, SIZE, SIZE), 0.5, dtype=np.float32)
    gains, noises = [], []
    for seed in range(25):
        pixels = photograph(grey, np.random.default_rng(seed)).astype(np.float64) / 255
        gains.append(pixels.mean() / 0.5)
        differences = np.diff(pixels, axis=1)
        noises.append(differences.std() / np.sqrt(2))
    assert 0.88 < min(gains) < 0.95
    assert 1.05 < max(gains) < 1.12
    assert 0.6 * 0.012 * 0.95 < min(noises) < max(noises) < 1.4 * 0.012 * 1.1


def test_the_distance_to_a_line_is_the_distance_to_its_nearest_point() -> None:
    points = path(np.random.default_rng(1), (60, 60), 50, 0.3, 8)
    window = patch(20, 20, 100, 100)
    signed, share = beside(window, points)
    dense = np.concatenate([np.linspace(a, b, 400) for a, b in pairwise(points)])
    queried = np.stack([window.x.ravel(), window.y.ravel()], axis=1)
    exact = cKDTree(dense).query(queried)[0].reshape(signed.shape)
    assert np.allclose(np.abs(signed), exact, atol=0.02)
    assert 0 <= share.min() <= share.max() <= 1


@pytest.mark.parametrize("defect", sorted(OVERLAYS))
def test_overlays_stay_on_the_object_and_leave_the_scene_as_it_was(defect: str) -> None:
    x, y = grid()
    disc = coverage(np.hypot(x, y) - 0.4, 2 / SIZE)
    texture = 0.5 + 0.1 * clouds(np.random.default_rng(0), 1.0)
    scene = Scene(np.stack([texture] * 3), disc)
    before = scene.colour.copy()
    for seed in range(8):
        colour, mask = OVERLAYS[defect](scene, Fault(defect, 1.0, np.random.default_rng(seed)))
        assert colour.dtype == np.float32
        assert not (mask & (disc <= 0.5)).any()
        assert np.array_equal(scene.colour, before)
        if defect != "warp":  # pulls what lies beside the object over it
            assert np.allclose(colour[:, disc == 0], before[:, disc == 0], atol=1e-6)


def test_every_class_names_overlays_that_exist() -> None:
    for kind in KINDS.values():
        assert set(kind.overlay) <= set(OVERLAYS)
        assert not set(kind.structural) & set(OVERLAYS)


def test_a_contact_sheet_shows_good_pictures_then_outlined_defects() -> None:
    sheet = contact_sheet(["brushed", "washer"], good=1, tile=64, gap=2)
    assert sheet.shape == (2 * 66 + 2, 5 * 66 + 2, 3)
    good = render(Name("brushed", "train", "", 0))[0]
    means = good.reshape(64, 4, 64, 4, 3).mean(axis=(1, 3))
    assert np.abs(sheet[2:66, 2:66] - means).max() <= 0.5 + 1e-3
    pixels, mask = render(Name("washer", "test", "chip", 0))
    assert mask is not None
    drawn = outlined(pixels, mask)
    changed = (drawn != pixels).any(axis=2)
    assert changed.any()
    assert (drawn[changed] == OUTLINE).all()
    assert np.array_equal(drawn[mask > 0], pixels[mask > 0])
