import numpy as np
import pytest
import torch

from mmedit_gl.pictures import membrane

HEIGHT, WIDTH = 37, 41
Y, X = np.mgrid[:HEIGHT, :WIDTH]
HOLES = dict(
    pixel=(Y == 20) & (X == 9),
    box=(Y >= 5) & (Y < 31) & (X >= 8) & (X < 33),
    disc=(Y - 18) ** 2 + (X - 20) ** 2 < 15**2,
    ring=((Y - 18) ** 2 + (X - 20) ** 2 < 14**2) & ((Y - 18) ** 2 + (X - 20) ** 2 > 8**2),
    strokes=(np.abs(Y - X) < 2) | (np.abs(Y + X - 40) < 2),
    border=(Y >= 12) & (X < 22),
    corners=((Y < 9) | (Y > 30)) & ((X < 6) | (X > 28)),
    specks=(Y % 3 == 1) & (X % 4 == 2),
    nearly_all=(Y != 3) | (X != 7),
)


def solved(img: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Each pixel of the hole is the mean of its neighbours in the picture, solved directly."""
    pixels = [tuple(pixel) for pixel in np.argwhere(hole)]
    number = {pixel: i for i, pixel in enumerate(pixels)}
    matrix, right = np.zeros((len(pixels),) * 2), np.zeros((len(pixels), img.shape[0]))
    for (y, x), i in number.items():
        for q in [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]:
            if q in number:
                matrix[i, number[q]] -= 1
            elif 0 <= q[0] < hole.shape[0] and 0 <= q[1] < hole.shape[1]:
                right[i] += img[:, q[0], q[1]]
            else:
                continue
            matrix[i, i] += 1
    result = img.astype(float)
    result[:, hole] = np.linalg.solve(matrix, right).T
    return result


def noise(seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (3, height, width)).astype(np.float32)


def filled(img: np.ndarray, hole: np.ndarray, *accuracy: int) -> np.ndarray:
    mask = torch.from_numpy(hole)[None, None].float()
    return membrane(torch.from_numpy(img)[None], mask, *accuracy)[0].numpy()


@pytest.mark.parametrize('name', HOLES)
def test_the_hole_continues_its_surroundings_harmonically(name):
    img, hole = noise(), HOLES[name]
    result = filled(img, hole)
    assert np.abs(result - solved(img, hole)).max() < 1e-4
    assert np.array_equal(result[:, ~hole], img[:, ~hole])


@pytest.mark.parametrize('name', [*HOLES][:-1])  # the solution of the last is one colour
def test_each_cycle_comes_nearer_and_with_more_sweeps_nearer_still(name):
    img, hole = noise(), HOLES[name]
    exact = solved(img, hole)

    def error(cycles: int, sweeps: int) -> float:
        return np.abs(filled(img, hole, cycles, sweeps) - exact)[:, hole].mean()

    assert error(0, 2) < 0.15
    assert error(1, 2) < error(0, 2) / 2
    assert error(2, 2) < error(1, 2) / 1.8
    assert error(1, 4) < error(1, 2) / 2
    assert error(2, 4) < error(1, 4) / 5


def test_a_wide_hole_keeps_its_size_on_coarser_grids():
    y, x = np.mgrid[-110:110, -110:120]
    img, hole = noise(0, *y.shape), y**2 + x**2 < 99**2
    errors = np.abs(filled(img, hole, 1) - filled(img, hole, 20))[:, hole]
    assert errors.mean() < 0.005  # 0.011 where a pixel is known that is known in part


def test_a_harmonic_picture_comes_back_in_a_large_hole():
    y, x = np.mgrid[:300, :407] / 200 - 1
    img = np.stack([x, x * y, x**2 - y**2]).astype(np.float32)
    hole = (y**2 + (x - 0.1) ** 2 < 0.65**2) | (np.abs(x - y) < 0.1)
    hole[0] = hole[-1] = hole[:, 0] = hole[:, -1] = False
    assert np.abs(filled(img, hole) - img).max() < 1e-4


def test_what_is_under_the_hole_or_beyond_its_border_does_not_matter():
    img, hole = noise(), HOLES['disc']
    result = filled(img, hole)
    assert np.array_equal(filled(np.where(hole, noise(1), img), hole), result)
    ring = np.zeros_like(hole)
    for shift, axis in ((1, 0), (-1, 0), (1, 1), (-1, 1)):
        ring |= np.roll(hole, shift, axis) & ~hole
    other = filled(np.where(hole | ring, img, noise(1)), hole)
    assert np.abs(other - result)[:, hole].max() < 1e-4


def test_a_part_of_the_hole_does_not_see_another():
    parts = HOLES['border'], (Y < 9) & (X > 25)
    img = noise()
    together = filled(img, parts[0] | parts[1])
    for part in parts:
        assert np.abs(filled(img, part) - together)[:, part].max() < 1e-4


def test_a_picture_has_the_same_bits_in_any_batch():
    imgs = torch.from_numpy(np.stack([noise(seed) for seed in range(4)]))
    masks = torch.from_numpy(np.stack([HOLES[n] for n in ('disc', 'box', 'border', 'specks')]))
    masks = masks[:, None].float()
    batch = membrane(imgs, masks)
    channels_last = membrane(imgs.contiguous(memory_format=torch.channels_last), masks)
    for i in range(4):
        assert torch.equal(batch[i], membrane(imgs[i : i + 1], masks[i : i + 1])[0])
        assert torch.equal(batch[i], channels_last[i])


def test_without_a_hole_nothing_changes_and_without_surroundings_it_is_grey():
    img = noise()
    assert np.array_equal(filled(img, HOLES['disc'] & False), img)
    assert not filled(img, HOLES['disc'] | True).any()
    assert np.array_equal(filled(img[:, :1, :1], np.ones((1, 1), bool)), np.zeros((3, 1, 1)))


def test_it_has_no_gradient_and_says_so():
    img = torch.from_numpy(noise())[None].requires_grad_()
    mask = torch.from_numpy(HOLES['disc'])[None, None].to(img)
    with pytest.raises(NotImplementedError, match='a membrane has no gradient'):
        membrane(img, mask).sum().backward()
    with torch.no_grad():
        assert not membrane(img, mask).requires_grad
