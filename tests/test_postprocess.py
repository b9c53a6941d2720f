import cv2
import numpy as np
import pytest
from conftest import random_image

from mmedit_gl.pictures import clone, cloning, postprocess

HEIGHT, WIDTH = 60, 71
Y, X = np.mgrid[:HEIGHT, :WIDTH]


def shape(name: str) -> np.ndarray:
    """A hole, uint8 and as tight as can be, at most 24 pixels a side."""
    y, x = np.mgrid[:24, :24] - 11.5
    holes = dict(
        pixel=np.ones((1, 1)),
        line=np.ones((1, 20)),
        odd=np.ones((13, 21)),
        even=np.ones((14, 22)),
        mixed=np.ones((15, 8)),
        disc=y**2 + x**2 < 12**2,
        concave=(np.abs(x) > 7) | (y > 4),
        ring=(y**2 + x**2 < 12**2) & (y**2 + x**2 > 6**2),
        several=(np.abs(x) > 6) & (np.abs(y) > 8),
        specks=(np.floor(x) % 3 == 0) & (np.floor(y) % 2 == 0),
    )
    return holes[name].astype(np.uint8)


SHAPES = ['pixel', 'line', 'odd', 'even', 'mixed', 'disc', 'concave', 'ring', 'several', 'specks']


def hole_at(hole: np.ndarray, top: int, left: int, size=(HEIGHT, WIDTH)) -> np.ndarray:
    placed = np.zeros(size, np.uint8)
    placed[top : top + hole.shape[0], left : left + hole.shape[1]] = hole
    return placed


def everywhere(hole: np.ndarray) -> list[np.ndarray]:
    """The hole in the middle, one pixel off each border, and at every border and corner."""
    tops, lefts = (
        (0, 1, (size - side) // 2, size - side - 1, size - side)
        for size, side in zip((HEIGHT, WIDTH), hole.shape)
    )
    return [hole_at(hole, top, left) for top in tops for left in lefts]


def calm(image: np.ndarray) -> np.ndarray:
    """The picture within [50, 200], so that nothing is clipped."""
    return (50 + image * (150 / 255)).astype(np.uint8)


def difference(image: np.ndarray, other: np.ndarray, hole: np.ndarray) -> int:
    return np.abs(image.astype(int) - other)[hole == 1].max()


def poisson(source: np.ndarray, target: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Perez's equations (7) for each pixel of the hole, solved directly."""
    pixels = [tuple(pixel) for pixel in np.argwhere(hole)]
    number = {pixel: i for i, pixel in enumerate(pixels)}
    source, result = source.astype(float), target.astype(float)
    matrix, right = np.zeros((len(pixels),) * 2), np.zeros((len(pixels), 3))
    for (y, x), i in number.items():
        for q in [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]:
            if not (0 <= q[0] < hole.shape[0] and 0 <= q[1] < hole.shape[1]):
                continue
            matrix[i, i] += 1
            right[i] += source[y, x] - source[q]
            if q in number:
                matrix[i, number[q]] -= 1
            else:
                right[i] += target[q]
    result[hole == 1] = np.linalg.solve(matrix, right).clip(0, 255)
    return result


@pytest.mark.parametrize('name', SHAPES)
def test_an_offset_vanishes_wherever_the_hole_is(name):
    target = calm(random_image(0, HEIGHT, WIDTH))
    for hole in everywhere(shape(name)):
        assert np.array_equal(clone(target + np.uint8([40, 15, 3]), target, hole), target)
        assert np.array_equal(clone(target - np.uint8([40, 15, 3]), target, hole), target)


@pytest.mark.parametrize('name', SHAPES)
def test_a_hole_in_a_plain_picture_takes_the_texture_of_the_source_where_it_is(name):
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    target = np.full_like(noise, 90)
    for hole in everywhere(shape(name)):
        source = np.where(hole[..., None] == 1, noise, 90).astype(np.uint8)
        assert np.array_equal(clone(source, target, hole), source)


@pytest.mark.parametrize('name', SHAPES)
@pytest.mark.parametrize('harmonic', [X - 35, (Y - 30) / 2 - X / 3, (X - 35) * (Y - 30) / 20])
def test_a_harmonic_difference_vanishes(name, harmonic):
    target = calm(random_image(0, HEIGHT, WIDTH))
    source = (target + harmonic[..., None]).round().clip(0, 255).astype(np.uint8)
    result = clone(source, target, hole_at(shape(name), 18, 23))
    assert difference(result, target, np.ones((HEIGHT, WIDTH))) <= 1


@pytest.mark.parametrize('name', SHAPES)
@pytest.mark.parametrize('place', [(18, 23), (0, 23), (36, 47)])
def test_any_source_is_cloned_as_the_equations_say(name, place):
    rng = np.random.default_rng(0)
    source = calm(rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8))
    target = random_image(1, HEIGHT, WIDTH)
    hole = hole_at(shape(name), *place)
    result = clone(source, target, hole)
    assert np.abs(result - poisson(source, target, hole)).max() < 1
    assert np.array_equal(result[hole == 0], target[hole == 0])


def test_cloning_converges_in_large_holes():
    # The difference is harmonic, so a solver that stops too soon shows.
    y, x = np.mgrid[:700, :900]
    target = calm(random_image(0, 700, 900))
    harmonic = (x - 450) * (y - 350) / 4000
    source = (target + harmonic[..., None]).round().astype(np.uint8)
    hole = np.zeros((700, 900), np.uint8)
    hole[50:650, 50:850] = 1
    hole[100:300, 100:120] = 0
    hole[400, 500] = 0
    assert difference(clone(source, target, hole), target, hole) <= 1


def test_without_anything_around_the_hole_the_source_is_the_result():
    source, target = random_image(0, 9, 30), random_image(1, 9, 30)
    hole = np.ones((9, 30), np.uint8)
    assert np.array_equal(clone(source, target, hole), source)
    assert np.array_equal(postprocess(target, source, hole), source)


def test_without_a_hole_nothing_changes():
    source, target = random_image(0, 9, 30), random_image(1, 9, 30)
    hole = np.zeros((9, 30), np.uint8)
    assert np.array_equal(clone(source, target, hole), target)
    assert np.array_equal(postprocess(target, source, hole), target)


def test_one_known_pixel_is_enough():
    target = calm(random_image(0, HEIGHT, WIDTH))
    hole = np.ones((HEIGHT, WIDTH), np.uint8)
    hole[0, 0] = 0
    assert np.array_equal(clone(target + np.uint8(30), target, hole), target)


@pytest.mark.parametrize('name', SHAPES)
def test_the_target_counts_outside_the_hole_only_and_the_source_not_beyond_its_border(name):
    source, target = random_image(0, HEIGHT, WIDTH), random_image(1, HEIGHT, WIDTH)
    hole = hole_at(shape(name), 18, 23)
    result = clone(source, target, hole)
    far = cv2.dilate(hole, np.ones((3, 3), np.uint8)) == 0
    source[far], target[hole == 1] = 255, 0
    assert np.array_equal(clone(source, target, hole), result)


def test_each_of_several_holes_is_cloned_as_if_it_were_alone():
    source, target = random_image(0, 200, 300), random_image(1, 200, 300)
    holes = [
        hole_at(shape(name), top, left, (200, 300))
        for name, top, left in [('disc', 0, 0), ('concave', 150, 260), ('odd', 90, 30)]
    ]
    result = clone(source, target, sum(holes))
    for hole in holes:
        assert np.array_equal(result[hole == 1], clone(source, target, hole)[hole == 1])


@pytest.mark.parametrize('hole', [np.ones((1, 40)), np.ones((40, 1)), np.eye(40)])
def test_a_thin_hole_is_left_to_fast_marching(hole):
    image, completed = random_image(0, HEIGHT, WIDTH), random_image(1, HEIGHT, WIDTH)
    for placed in everywhere(hole.astype(np.uint8)):
        expected = cv2.inpaint(image, placed, 3, cv2.INPAINT_TELEA)
        assert np.array_equal(postprocess(image, completed, placed), expected)


@pytest.mark.parametrize('name', SHAPES)
def test_postprocessing_is_cloning_into_what_fast_marching_gives(name):
    image, completed = random_image(0, HEIGHT, WIDTH), calm(random_image(1, HEIGHT, WIDTH))
    for hole in everywhere(shape(name))[::3]:
        target = cv2.inpaint(image, hole, 3, cv2.INPAINT_TELEA)
        expected = poisson(completed, target, cv2.erode(hole, np.ones((3, 3), np.uint8)))
        result = postprocess(image, completed, hole)
        assert np.abs(result - expected).max() < 1
        assert np.array_equal(result[hole == 0], image[hole == 0])


@pytest.mark.parametrize('name', ['odd', 'disc', 'concave'])
def test_postprocessing_takes_a_cast_away(name):
    image = calm(random_image(0, HEIGHT, WIDTH))
    for hole in everywhere(shape(name)):
        completed = np.where(hole[..., None] == 1, image + np.uint8(40), image).astype(np.uint8)
        result = postprocess(image, completed, hole)
        assert np.abs(result.astype(int) - image)[hole == 1].mean() < 10  # of 40


def test_the_cost_is_that_of_the_hole(monkeypatch):
    """Two small holes, far apart, in 20 megapixels."""
    image = np.zeros((3650, 5480, 3), np.uint8)
    hole = np.zeros(image.shape[:2], np.uint8)
    hole[100:140, 100:150] = 1
    hole[3600:, 5400:] = 1
    sizes = []

    def recorded(function, axes):
        def call(array, *args):
            sizes.append(tuple(array.shape[axes]))
            return function(array, *args)

        return call

    monkeypatch.setattr(cloning, 'membrane', recorded(cloning.membrane, slice(2, 4)))
    monkeypatch.setattr(cv2, 'inpaint', recorded(cv2.inpaint, slice(2)))
    assert not postprocess(image, image, hole).any()
    assert {(56, 66), (58, 88), (40, 50), (50, 80)} <= set(sizes)
    assert max(height * width for height, width in sizes) == 58 * 88
