import cv2
import numpy as np
import pytest
import torch

from mmedit_gl.pictures import detail
from mmedit_gl.pictures.detail import _looks, _pieces

SCALE = 0.5  # blocks of two pixels, cells of ten


def noise(height: int, width: int, deviation: float = 1.2, seed: int = 0) -> np.ndarray:
    """A stationary texture around a grey of 128, uint8 BGR."""
    grain = np.random.default_rng(seed).standard_normal((height, width, 3)).astype(np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), deviation)
    return (128 + 25 * grain / grain.std()).round().clip(0, 255).astype(np.uint8)


def disc(shape: tuple[int, int], middle: tuple[int, int], radius: int) -> np.ndarray:
    return cv2.circle(np.zeros(shape, np.uint8), middle[::-1], radius, 1, cv2.FILLED)


def detailed(completed: np.ndarray, hole: np.ndarray, part: np.ndarray | None = None) -> np.ndarray:
    """The picture with detail in a part, by default all of the hole."""
    part = hole if part is None else part
    left, top, width, height = cv2.boundingRect(part)
    box = slice(top, top + height), slice(left, left + width)
    result = completed.copy()
    result[box] = detail(completed, hole, box, part[box] == 1, SCALE)
    return result


def gradient(picture: np.ndarray, where: np.ndarray) -> float:
    """Mean of the absolute differences of neighbours that both lie in `where`."""
    picture, inside = picture.astype(np.float32), where == 1
    across = np.abs(np.diff(picture, axis=1))[inside[:, 1:] & inside[:, :-1]]
    down = np.abs(np.diff(picture, axis=0))[inside[1:] & inside[:-1]]
    return np.concatenate([across, down]).mean()


def spectrum(picture: np.ndarray, middle: tuple[int, int], side: int = 64) -> np.ndarray:
    """Mean power at 1/16 to 1/4 cycles a pixel around a place, in dB."""
    top, left = (n - side // 2 for n in middle)
    square = picture[top : top + side, left : left + side].astype(np.float64)
    window = np.outer(np.hanning(side), np.hanning(side))[..., None]
    power = np.abs(np.fft.fft2((square - square.mean((0, 1))) * window, axes=(0, 1))) ** 2
    cycles = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side))
    rings = [np.abs(cycles - n / 16) < 1 / 32 for n in (1, 2, 3, 4)]
    return np.array([10 * np.log10(power[ring].mean()) for ring in rings])


HOLES = {
    'disc': disc((240, 260), (120, 130), 60),
    'left border': disc((240, 260), (120, 10), 60),
    'corner': disc((241, 263), (0, 262), 90),
    'two': disc((240, 300), (100, 70), 50) | disc((240, 300), (130, 230), 45),
    'ring': disc((260, 260), (130, 130), 90) - disc((260, 260), (130, 130), 30),
}


@pytest.mark.parametrize('hole', [pytest.param(h, id=n) for n, h in HOLES.items()])
def test_a_texture_goes_on_into_a_hole_and_nothing_changes_outside(hole):
    picture = noise(*hole.shape)
    completed = np.where(hole[..., None] == 1, np.uint8(128), picture)
    given = completed.copy()
    result = detailed(completed, hole)
    assert np.array_equal(completed, given)
    assert (result.dtype, result.shape) == (picture.dtype, picture.shape)
    assert np.array_equal(result[hole == 0], picture[hole == 0])
    inner = cv2.erode(hole, np.ones((13, 13), np.uint8))
    assert gradient(completed, inner) == 0
    assert 0.8 < gradient(result, inner) / gradient(picture, 1 - hole) < 1.15


def test_the_spectrum_of_the_texture_is_that_of_the_surroundings():
    hole = disc((300, 420), (150, 150), 70)
    picture = noise(*hole.shape, deviation=1.6)
    completed = np.where(hole[..., None] == 1, np.uint8(128), picture)
    difference = spectrum(detailed(completed, hole), (150, 150)) - spectrum(picture, (150, 340))
    assert np.abs(difference).max() < 3


def test_coarse_colours_stay_those_of_the_completion():
    hole = disc((260, 280), (130, 140), 60)
    ramp = np.linspace(90, 170, 280, dtype=np.float32)[None, :, None]
    picture = (noise(*hole.shape) - 128.0 + ramp).round().clip(0, 255).astype(np.uint8)
    completed = np.where(hole[..., None] == 1, ramp + np.float32([-15, 0, 15]), picture)
    completed = completed.round().astype(np.uint8)
    result = detailed(completed, hole)
    before, after = (cv2.blur(a.astype(np.float32), (41, 41)) for a in (completed, result))
    assert np.abs(after - before).max() < 6
    assert np.abs(after - before).mean() < 1


def test_pieces_of_darker_and_brighter_places_meet_without_steps():
    hole = disc((260, 280), (130, 140), 60)
    ramp = np.linspace(20, 236, 280, dtype=np.float32)[None, :, None]
    picture = ((noise(*hole.shape) - 128.0) / 3 + ramp).round().clip(0, 255).astype(np.uint8)
    completed = np.where(hole[..., None] == 1, ramp, picture).round().astype(np.uint8)
    steps = cv2.GaussianBlur(detailed(completed, hole) - ramp, (0, 0), 4)
    inner = cv2.erode(hole, np.ones((11, 11), np.uint8)) == 1
    assert np.abs(steps)[inner].max() < 6


def test_each_side_of_a_hole_gets_the_texture_that_is_beside_it():
    hole = disc((260, 400), (130, 200), 60)
    rough = noise(*hole.shape).astype(np.float32)
    rough[:, 200:] = 128
    colour = np.where(np.arange(400)[:, None] < 200, np.float32([0, 0, 60]), np.float32([60, 0, 0]))
    picture = (rough + colour).clip(0, 255).astype(np.uint8)
    completed = np.where(hole[..., None] == 1, (128 + colour).clip(0, 255), picture)
    result = detailed(completed.astype(np.uint8), hole)
    left, right = hole.copy(), hole.copy()
    left[:, 170:] = right[:, :230] = 0
    outside = 1 - hole
    outside[:, 200:] = 0
    assert gradient(result, left) > 0.7 * gradient(picture, outside)
    assert gradient(result, right) < 0.1 * gradient(picture, outside)


# A texture, and depths in the hole where less and more than half of its strength are reached.
@pytest.mark.parametrize('deviation, less, more', [(1.2, 2, 4), (5, 4, 12)])
def test_detail_sets_in_from_the_border_on_the_coarser_the_slower(deviation, less, more):
    hole = np.zeros((240, 260), np.uint8)
    hole[60:180, 70:190] = 1  # in whole cells, so that nothing around it is looked at in its box
    completed = np.where(hole[..., None] == 1, np.uint8(128), noise(*hole.shape, deviation))
    change = cv2.absdiff(detailed(completed, hole), completed).mean(axis=2)
    depth = cv2.distanceTransform(hole, cv2.DIST_L2, 5)
    strength = [change[depth.round() == n].mean() / change[depth > 30].mean() for n in range(20)]
    assert 0 < strength[1] < 0.3  # a quarter in the finest octave, less in coarser ones
    assert strength[1] < strength[less] < 0.42
    assert 0.55 < strength[more] < 0.85


def test_detail_fades_as_the_completion_looks_less_like_its_surroundings():
    hole = HOLES['disc']
    picture, inner = noise(*hole.shape), cv2.erode(hole, np.ones((13, 13), np.uint8))
    strengths = []
    for grey in (128, 136, 144, 160):
        completed = np.where(hole[..., None] == 1, np.uint8(grey), picture)
        strengths.append(gradient(detailed(completed, hole), inner) / gradient(picture, 1 - hole))
    assert min(strengths[:2]) > 0.8
    assert 0.3 < strengths[2] < 0.7
    assert strengths[3] == 0


def test_detail_is_taken_from_what_is_known_alone():
    hole = disc((240, 300), (120, 80), 50)
    part = hole.copy()
    hole[60:180, 180:260] = 1
    picture = noise(*hole.shape, seed=1)
    picture = np.repeat(picture[..., :1], 3, axis=2)
    completed = np.where(part[..., None] == 1, np.uint8(128), picture)
    # What fills the other hole has all the energy that could be wanted, and colours.
    completed[60:180, 180:260] = np.random.default_rng(0).integers(0, 256, (120, 80, 3))
    result = detailed(completed, hole, part)
    assert np.array_equal(result[part == 0], completed[part == 0])
    assert gradient(result, part) > 0.7 * gradient(picture, 1 - hole)
    colourful = np.ptp(result[part == 1].astype(int), axis=1)
    assert colourful.mean() < 2


def test_a_wire_that_ends_at_a_hole_leaves_no_pieces_in_it():
    hole = disc((300, 300), (150, 150), 60)
    picture = np.full((300, 300, 3), 180, np.uint8)
    for ends in (((0, 60), (299, 240)), ((120, 0), (180, 299))):
        cv2.line(picture, *ends, (20, 20, 20), 4)
    completed = np.where(hole[..., None] == 1, np.uint8(180), picture)
    result = detailed(completed, hole)
    inner = cv2.erode(hole, np.ones((11, 11), np.uint8)) == 1
    assert cv2.absdiff(result, completed)[inner].max() < 7
    assert cv2.absdiff(result, completed)[inner].mean() < 1


@pytest.mark.parametrize('left', [0, 5, 25])
def test_with_hardly_any_surroundings_the_completion_stays_as_it_is(left):
    picture = noise(150, 170)
    hole = np.ones((150, 170), np.uint8)
    hole[:, :left] = 0
    hole[70, 80] = 0
    completed = np.where(hole[..., None] == 1, np.uint8(128), picture)
    assert np.array_equal(detailed(completed, hole), completed)


@pytest.mark.parametrize('size', [(1, 3), (7, 9), (10, 30), (23, 11)])
def test_a_small_picture_comes_back(size):
    hole = np.zeros(size, np.uint8)
    hole[:, : 2 * size[1] // 3] = 1
    completed = noise(*size)
    result = detailed(completed, hole)
    assert np.array_equal(result[hole == 0], completed[hole == 0])


def test_the_bits_do_not_depend_on_the_number_of_threads(threads):
    hole = HOLES['two']
    picture = noise(*hole.shape)
    completed = np.where(hole[..., None] == 1, np.uint8(128), picture)
    results = []
    before = cv2.getNumThreads()
    for count in (1, 2, 2):
        threads(count)
        cv2.setNumThreads(count)
        results.append(detailed(completed, hole))
    cv2.setNumThreads(before)
    assert not np.array_equal(results[0], completed)
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[1], results[2])


def test_textures_of_one_strength_look_different_by_how_fine_they_are():
    left = np.arange(400)[None, :, None] < 200
    picture = np.where(left, noise(200, 400, 0.8), noise(200, 400, 3))
    small = cv2.resize(picture, (200, 100), interpolation=cv2.INTER_AREA).astype(np.float32)
    coarse = np.full_like(small, 128)
    known = np.ones((200, 400), np.uint8), np.ones((100, 200), np.float32)
    looks, *_ = _looks(picture, known[0], small - coarse, coarse, known[1])
    fine, less_fine = looks[:, 2:-2, 2:17].flatten(1), looks[:, 2:-2, 23:-2].flatten(1)
    apart = (fine.mean(1) - less_fine.mean(1)).norm()
    assert apart > 4 * max(fine.std(1).norm(), less_fine.std(1).norm())


def test_what_stands_out_of_a_texture_is_not_sought():
    picture = (noise(200, 600) / 3.0 + 85).astype(np.uint8)
    for x in range(230, 600, 60):  # where the texture is missing, it does not stand out itself
        for y in (40, 100, 160):
            cv2.circle(picture, (x, y), 8, (128, 128, 128), cv2.FILLED)
    cv2.circle(picture, (80, 100), 8, (60, 60, 230), cv2.FILLED)
    small = cv2.resize(picture, (300, 100), interpolation=cv2.INTER_AREA).astype(np.float32)
    coarse = np.full_like(small, 128)
    known = np.ones((200, 600), np.uint8), np.ones((100, 300), np.float32)
    looks, sought, *_ = _looks(picture, known[0], small - coarse, coarse, known[1])
    apart = looks[-1]
    assert apart[9:11, 7:9].min() > 1.2
    assert apart[:, 13:].mean() < 0.35
    assert (sought[-1] == 0).all()


def test_a_piece_is_the_best_of_all_shifts():
    rng = np.random.default_rng(0)
    looks = rng.standard_normal((30, 34, 4)).astype(np.float32)
    looks = 4 * cv2.GaussianBlur(looks, (0, 0), 1.5).transpose(2, 0, 1)
    wanted = np.zeros((30, 34), bool)
    wanted[12:19, 13:21] = True
    box = slice(12, 19), slice(13, 21)
    sought = looks + 1
    sought[:, 12:19, 13:21] = looks[:, 3:10, 22:30] + 0.05 * rng.standard_normal((4, 7, 8))
    sought = sought.astype(np.float32)
    errors = {}
    for y in range(-12, 12):
        for x in range(-13, 14):
            rows, columns = slice(12 + y, 19 + y), slice(13 + x, 21 + x)
            if not wanted[rows, columns].any() and looks[:, rows, columns].shape == (4, 7, 8):
                errors[y, x] = ((looks[:, rows, columns] - sought[:, 12:19, 13:21]) ** 2).sum()
    assert min(errors, key=errors.get) == (-9, 9)
    shifts, _, pieces = _pieces(*map(torch.from_numpy, (looks, sought)), ~wanted, wanted, box)
    assert shifts == [(-9, 9)]
    assert (pieces == 0).all()
