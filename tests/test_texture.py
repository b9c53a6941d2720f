import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mmedit_gl.apis import Inpainter
from mmedit_gl.pictures import textured
from mmedit_gl.pictures.membrane import screened
from mmedit_gl.pictures.texture.pieces import CELL, Sources, lay_cells, look
from mmedit_gl.pictures.texture.propagation import propagate
from mmedit_gl.pictures.texture.shifts import find_shifts
from mmedit_gl.pictures.texture.uniqueness import uniqueness


def ellipse(shape: tuple[int, int], middle: tuple[int, int], width: int) -> np.ndarray:
    axes = round(0.55 * width), round(0.45 * width)
    return cv2.ellipse(np.zeros(shape, np.uint8), middle[::-1], axes, 0, 0, 360, 1, cv2.FILLED)


def box_of(part: np.ndarray) -> tuple[slice, slice]:
    left, top, width, height = cv2.boundingRect(part)
    return slice(top, top + height), slice(left, left + width)


def filled(
    completed: np.ndarray, hole: np.ndarray, part: np.ndarray | None = None, scale: float = 1
) -> np.ndarray:
    """The picture with texture in a part, by default all of the hole."""
    part = hole if part is None else part
    box = box_of(part)
    result = completed.copy()
    result[box] = textured(completed, hole, box, part[box] == 1, scale)
    return result


def noisy(picture: np.ndarray, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 3, picture.shape)
    return (picture + noise).round().clip(0, 255).astype(np.uint8)


def grain(shape: tuple[int, int], deviation: float = 1.2) -> np.ndarray:
    values = np.random.default_rng(0).standard_normal((*shape, 3)).astype(np.float32)
    values = cv2.GaussianBlur(values, (0, 0), deviation)
    return (128 + 25 * values / values.std()).round().clip(0, 255).astype(np.uint8)


def made(kind: str, size: int = 400) -> np.ndarray:
    """A picture whose continuation is known, with noise of 3 grey levels."""
    y, x = np.mgrid[:size, :size].astype(np.float32)
    dark, light = np.float32([60, 40, 90]), np.float32([200, 180, 120])
    if kind == 'edge':
        across = np.cos(0.4) * (x - size / 2) + np.sin(0.4) * (y - size / 2) + 9
        share = (across + 0.5).clip(0, 1)
    elif kind == 'boards':
        share = np.abs((np.cos(1.1) * x + np.sin(1.1) * y) % 33 - 16) > 1.6
    elif kind == 'bricks':
        row = y // 18
        share = ((x + row % 2 * 21) % 42 > 2.5) & (y % 18 > 2.5)
    elif kind == 'discs':
        share = np.hypot(x % 30 - 15, y % 30 - 15) < 10
    share = np.float32(share)[..., None]
    return noisy(dark + (light - dark) * share)


def error(result: np.ndarray, picture: np.ndarray, hole: np.ndarray) -> float:
    """l1 in the hole, in grey levels."""
    return np.abs(result.astype(float) - picture)[hole == 1].mean()


@pytest.fixture(scope='module')
def inpainter() -> Inpainter:
    return Inpainter(device='cpu')


# The noise alone makes 3.4, for what is copied has noise of its own.
@pytest.mark.parametrize('kind, most', [('edge', 5), ('boards', 4), ('bricks', 4), ('discs', 4)])
def test_structure_goes_on_in_a_hole(inpainter, kind, most):
    picture, hole = made(kind), ellipse((400, 400), (200, 200), 130)
    assert error(inpainter(picture, hole, mode='smooth'), picture, hole) > 9
    result = inpainter(picture, hole)
    assert error(result, picture, hole) < most
    assert np.array_equal(result[hole == 0], picture[hole == 0])


def test_structure_goes_on_at_full_scale_where_the_completion_was_reduced(inpainter):
    picture, hole = made('boards', 700), ellipse((700, 700), (350, 350), 260)
    completed = inpainter(picture, hole, mode='smooth')
    result = filled(completed, hole, scale=0.5)
    assert error(result, picture, hole) < 4 < 9 < error(completed, picture, hole)
    assert np.array_equal(result[hole == 0], picture[hole == 0])


HOLES = {
    'ellipse': ellipse((240, 260), (120, 130), 110),
    'left border': ellipse((240, 260), (120, 10), 110),
    'corner': ellipse((241, 263), (0, 262), 150),
    'two': ellipse((240, 300), (100, 70), 90) | ellipse((240, 300), (130, 230), 80),
    'ring': ellipse((260, 260), (130, 130), 170) - ellipse((260, 260), (130, 130), 60),
}


@pytest.mark.parametrize('scale', [1, 0.5])
@pytest.mark.parametrize('hole', [pytest.param(h, id=n) for n, h in HOLES.items()])
def test_a_texture_goes_on_in_a_hole_and_nothing_changes_outside(hole, scale):
    picture = grain(hole.shape)
    completed = np.where(hole[..., None] == 1, np.uint8(128), picture)
    given = completed.copy()
    result = filled(completed, hole, scale=scale)
    assert np.array_equal(completed, given)
    assert (result.dtype, result.shape) == (picture.dtype, picture.shape)
    assert np.array_equal(result[hole == 0], picture[hole == 0])
    inner = cv2.erode(hole, np.ones((9, 9), np.uint8)) == 1
    assert 0.8 < result[inner].std() / picture[hole == 0].std() < 1.2
    # Where independent grain met, steps would be 2.5 times as large as in it.
    steps = np.abs(np.diff(result.astype(float), axis=1)).mean(2)
    across = np.diff(hole.astype(int), axis=1) != 0
    outside = (hole[:, 1:] == 0) & (hole[:, :-1] == 0)
    assert 0.7 < steps[across].mean() / steps[outside].mean() < 1.5


def test_nothing_is_copied_from_what_is_unknown():
    hole = ellipse((240, 300), (120, 80), 100)
    part = hole.copy()
    hole[40:200, 170:280] = 1
    picture = np.repeat(grain(hole.shape)[..., :1], 3, axis=2)
    completed = np.where(part[..., None] == 1, np.uint8(128), picture)
    colours = np.random.default_rng(0).integers(0, 256, (160, 110, 3))
    completed[40:200, 170:280] = colours
    result = filled(completed, hole, part)
    assert np.array_equal(result[part == 0], completed[part == 0])
    assert np.ptp(result[part == 1].astype(int), axis=1).max() <= 1
    assert result[part == 1].std() > 0.8 * picture.std()


def test_pieces_from_darker_and_brighter_places_meet_without_steps():
    hole = ellipse((260, 280), (130, 140), 110)
    ramp = np.linspace(20, 236, 280, dtype=np.float32)[None, :, None]
    picture = ((grain(hole.shape) - 128.0) / 3 + ramp).round().clip(0, 255).astype(np.uint8)
    completed = np.where(hole[..., None] == 1, ramp, picture).round().astype(np.uint8)
    away = cv2.GaussianBlur(filled(completed, hole) - ramp, (0, 0), 4)
    assert np.abs(away)[hole == 1].mean() < 5


def test_pieces_look_like_the_completion_where_the_surroundings_offer_two():
    """What fits to the border alone could be either; the completion is dark."""
    picture = grain((300, 400)).astype(np.float32)
    hole = ellipse((300, 400), (150, 200), 110)
    picture[:, :] += np.where(np.arange(400) < 200, -50, 50)[None, :, None]
    picture = picture.clip(0, 255).astype(np.uint8)
    for grey in (78, 178):
        completed = np.where(hole[..., None] == 1, np.uint8(grey), picture)
        inner = cv2.erode(hole, np.ones((31, 31), np.uint8)) == 1
        assert abs(filled(completed, hole)[inner].mean() - grey) < 32


def test_pieces_come_from_where_the_wider_surroundings_are_alike():
    """Both sources are what was in the hole, but one is a small piece of something red."""
    picture = grain((400, 640))
    around = picture[130:270, 250:390].copy()
    picture[:, :220] = 40, 40, 200
    picture[130:270, 30:170] = around
    picture[130:270, 470:610] = around
    hole = ellipse((400, 640), (200, 320), 80)
    box = slice(156, 244), slice(276, 364)
    completed = np.where(hole[..., None] == 1, np.uint8(128), picture)
    shifts = [(0, -220), (0, 220)]
    sources = Sources.of(completed, hole == 0, shifts, box, CELL)
    looks = np.dstack([look(completed, hole == 0), np.zeros(hole.shape, np.float32)])
    looks = Sources.of(looks, hole == 0, shifts, box, CELL)
    labels = lay_cells(sources, looks, torch.from_numpy(hole[box] == 1), box)
    assert sorted(labels.unique().tolist()) == [-1, 2]


def test_pieces_come_from_what_is_not_unique_where_all_else_is_alike():
    picture = np.full((200, 500, 3), 128, np.uint8)
    hole = ellipse((200, 500), (100, 250), 80)
    box = slice(56, 144), slice(206, 294)
    shifts = [(0, -120), (0, 120)]
    sources = Sources.of(picture, hole == 0, shifts, box, CELL)
    for unique, label in ((slice(0, 250), 2), (slice(250, 500), 1)):
        looks = np.dstack([look(picture, hole == 0), np.zeros(hole.shape, np.float32)])
        looks[:, unique, -1] = 100
        looks = Sources.of(looks, hole == 0, shifts, box, CELL)
        labels = lay_cells(sources, looks, torch.from_numpy(hole[box] == 1), box)
        assert sorted(labels.unique().tolist()) == [-1, label]


def test_a_thing_is_unique_by_its_difference_from_all_that_shifts_reach():
    picture = np.full((240, 400, 3), 100, np.uint8)
    picture[20:60, 40:80] = 120
    known = np.ones((240, 400), bool)
    part = np.zeros((240, 400), bool)
    part[100:140, 180:220] = True
    known[part] = False
    shifts = [(0, 120), (0, -200), (80, 40), (8, 8)]  # the last is short, so that a thing overlaps
    once = uniqueness(picture, known, part, shifts)
    assert once[40, 60] == 3 * 20**2
    assert once[40, 200] == once[0, 399] == once[120, 200] == 0
    picture[20:60, 240:280] = 120  # the same thing under the second shift
    assert uniqueness(picture, known, part, shifts)[40, 60] == 0
    picture[20:60, 240:280] = 180, 120, 120
    assert uniqueness(picture, known, part, shifts)[40, 60] == 3 * 20**2
    assert uniqueness(picture, known, part, shifts)[40, 260] == 60**2
    # Around the hole such differences are usual.
    picture[60:180, 140:260] = 120
    assert uniqueness(picture, known, part, [(0, 120)])[40, 60] == 0


@pytest.mark.parametrize('left', [0, 5])
def test_with_hardly_any_surroundings_the_completion_stays_as_it_is(left):
    picture = grain((150, 170))
    hole = np.ones((150, 170), np.uint8)
    hole[:, :left] = 0
    hole[70, 80] = 0
    completed = np.where(hole[..., None] == 1, np.uint8(128), picture)
    assert np.array_equal(filled(completed, hole), completed)


@pytest.mark.parametrize('size', [(1, 3), (7, 9), (10, 30), (23, 11)])
@pytest.mark.parametrize('scale', [1, 0.3])
def test_a_small_picture_comes_back(size, scale):
    hole = np.zeros(size, np.uint8)
    hole[:, : 2 * size[1] // 3] = 1
    completed = grain(size)
    result = filled(completed, hole, scale=scale)
    assert np.array_equal(result[hole == 0], completed[hole == 0])


@pytest.mark.parametrize('scale', [1, 0.5])
def test_the_bits_do_not_depend_on_the_number_of_threads(threads, scale):
    hole = HOLES['two']
    completed = np.where(hole[..., None] == 1, np.uint8(128), grain(hole.shape))
    results = []
    before = cv2.getNumThreads()
    for count in (1, 2, 2):
        threads(count)
        cv2.setNumThreads(count)
        results.append(filled(completed, hole, scale=scale))
    cv2.setNumThreads(before)
    assert not np.array_equal(results[0], completed)
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[1], results[2])


def test_shifts_are_those_under_which_the_border_of_a_hole_looks_the_same():
    tile = np.random.default_rng(0).integers(0, 256, (60, 70, 3), dtype=np.uint8)
    picture = np.tile(tile, (5, 5, 1))
    part = np.zeros(picture.shape[:2], bool)
    part[120:170, 150:190] = True
    shifts = find_shifts(picture, ~part, part)
    assert len(shifts) >= 6
    assert all(down % 60 == 0 and right % 70 == 0 for down, right in shifts)
    assert (0, 0) not in shifts


def test_propagation_finds_the_cheapest_labels_of_a_chain():
    generator = torch.Generator().manual_seed(0)
    costs = torch.rand(6, 4, generator=generator, dtype=torch.float64)
    pairs = torch.rand(5, 4, 4, generator=generator, dtype=torch.float64)
    nodes = torch.arange(6)
    # Edges of even and of odd nodes, for each node may begin one edge of a set.
    edges = [(nodes[i:5:2], nodes[i + 1 :: 2], pairs[i::2]) for i in (0, 1)]
    found = propagate(costs, edges, 60).argmin(1)
    all_labels = torch.cartesian_prod(*[torch.arange(4)] * 6)
    total = costs[nodes, all_labels].sum(1)
    total += pairs[nodes[:5], all_labels[:, :-1], all_labels[:, 1:]].sum(1)
    assert torch.equal(found, all_labels[total.argmin()])


def test_a_screened_equation_is_solved():
    generator = torch.Generator().manual_seed(0)
    mask = torch.from_numpy(ellipse((61, 75), (30, 2), 50))[None, None].double()
    source = torch.randn(1, 3, 61, 75, generator=generator, dtype=torch.float64)
    pull = 0.05 * torch.rand(1, 1, 61, 75, generator=generator, dtype=torch.float64)
    found = screened(source, mask, pull, cycles=20)
    around = F.pad(found, (1, 1, 1, 1), mode='replicate')
    total = around[..., :-2, 1:-1] + around[..., 2:, 1:-1]
    total += around[..., 1:-1, :-2] + around[..., 1:-1, 2:]
    assert ((4 + pull) * found - total - source)[mask.expand_as(found) == 1].abs().max() < 1e-6
    assert (found[mask.expand_as(found) == 0] == 0).all()
