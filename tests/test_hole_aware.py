import itertools
import time

import cv2
import numpy as np
import pytest
import torch
from conftest import relative_error, seeded_weight
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from mmedit_gl.errors import UserError
from mmedit_gl.models import GLEncoderDecoder, HoleAware, hole_aware

SETTINGS = dict(derandomize=True, deadline=None)
BANDS = [2**21, 2**13, 1]  # one band in any picture here, one or several, one for each row


def make_generator(
    base_channels: int = 4, out_act: str = 'clip', residual: bool = False, **options
) -> GLEncoderDecoder:
    parts = dict(encoder='GLEncoder', dilation_neck='GLDilationNeck', decoder='GLDecoder')
    options = dict(options, base_channels=base_channels)
    cfgs = {part: dict(type=kind, **options) for part, kind in parts.items()}
    cfgs['decoder']['out_act'] = out_act
    generator = GLEncoderDecoder(**cfgs, residual=residual)
    state = generator.state_dict()
    generator.load_state_dict({name: seeded_weight(name, v.shape) for name, v in state.items()})
    return generator.eval()


@torch.no_grad()
def full_pass(generator: GLEncoderDecoder, *picture: torch.Tensor) -> torch.Tensor:
    """Scales the last layer, so that what it gives fills [-0.9, 0.9] and is clipped nowhere."""

    def scale(last, _, values):
        factor = 0.9 / values.abs().max()
        last.weight *= factor
        last.bias *= factor
        return factor * values

    with generator.decoder.dec7.conv.register_forward_hook(scale):
        return generator(*picture)


def make_picture(mask: np.ndarray, count: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """`masked_img` and `mask` of random pictures with the hole of a mask `(H, W)`."""
    generator = torch.Generator().manual_seed(mask.size)
    img = torch.rand(count, 3, *mask.shape, generator=generator) * 2 - 1
    mask = torch.from_numpy(mask).expand(count, 1, -1, -1).float()
    return img * (1 - mask), mask


def make_mask(shape: tuple[int, int], *boxes: tuple[int, int, int, int]) -> np.ndarray:
    """Holes that are boxes (top, left, bottom, right)."""
    mask = np.zeros(shape, np.uint8)
    for box in boxes:
        mask[slices(box)] = 1
    return mask


def slices(box: tuple[int, int, int, int]) -> tuple:
    top, left, bottom, right = box
    return ..., slice(top, bottom), slice(left, right)


@torch.no_grad()
def fill(aware: HoleAware, masked_img: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """What the plans give, from their windows alone; not a number where they give nothing."""
    fake_res = torch.full_like(masked_img, torch.nan)
    for plan in aware.plans(mask[0, 0].numpy().astype(np.uint8)):
        window = slices(plan.window)
        fake_res[slices(plan.box)] = aware(plan, masked_img[window], mask[window])
    return fake_res


def error_in_hole(generator: GLEncoderDecoder, mask: np.ndarray) -> float:
    masked_img, mask = make_picture(mask)
    expected = full_pass(generator, masked_img, mask)
    hole = mask.expand_as(expected) == 1
    return (fill(HoleAware(generator), masked_img, mask) - expected)[hole].abs().max().item()


@pytest.fixture(scope='module')
def narrow() -> GLEncoderDecoder:
    return make_generator()


@pytest.fixture(scope='module')
def counted() -> tuple[GLEncoderDecoder, HoleAware]:
    """The full-size generator without values, which runs pictures of any size in no time.

    Nor has it norms, of which no operation is counted.
    """
    generator = make_generator(base_channels=64, norm_cfg=None).to('meta')
    return generator, HoleAware(generator)


def operations(module, shape: tuple[int, int], *args) -> int:
    picture = [torch.empty(1, channels, *shape, device='meta') for channels in (3, 1)]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(*args, *picture)
    return counter.get_total_flops()


def share_of_full_pass(counted, mask: np.ndarray) -> float:
    generator, aware = counted
    total = 0
    for plan in aware.plans(mask):
        top, left, bottom, right = plan.window
        total += operations(aware, (bottom - top, right - left), plan)
    return total / operations(generator, mask.shape)


def interval(size: int) -> st.SearchStrategy:
    """Bounds of a part of an axis, which often has one of its ends or both."""
    start = st.one_of(st.just(0), st.integers(0, size - 1))
    length = st.one_of(st.just(size), st.integers(1, size))
    return st.tuples(start, length).map(lambda part: (part[0], min(sum(part), size)))


@st.composite
def masks(draw) -> np.ndarray:
    """One to four boxes, scattered pixels, a stroke, or all but a pixel, in any size of picture."""
    shape = draw(st.integers(5, 400)), draw(st.integers(5, 400))
    points = st.tuples(*(st.integers(0, size - 1) for size in shape))
    mask = np.zeros(shape, np.uint8)
    kind = draw(st.sampled_from(['boxes', 'pixels', 'stroke', 'all but a pixel']))
    if kind == 'boxes':
        boxes = st.tuples(*(interval(size) for size in shape))
        for rows, columns in draw(st.lists(boxes, min_size=1, max_size=4)):
            mask[slice(*rows), slice(*columns)] = 1
    if kind == 'pixels':
        for point in draw(st.lists(points, min_size=1, max_size=20)):
            mask[point] = 1
    if kind == 'stroke':
        vertices = np.array(draw(st.lists(points, min_size=2, max_size=5)))[:, ::-1]
        cv2.polylines(mask, [vertices.astype(np.int32)], False, 1, draw(st.integers(1, 20)))
    if kind == 'all but a pixel':
        mask[:] = 1
        mask[draw(points)] = 0
    return mask


@st.composite
def long_masks(draw) -> np.ndarray:
    """Small holes, some of them far apart, in a narrow picture of either orientation."""
    mask = np.zeros((draw(st.integers(5, 60)), draw(st.integers(400, 1500))), np.uint8)
    for left in draw(st.lists(st.integers(0, mask.shape[1] - 1), min_size=2, max_size=6)):
        top, height = draw(st.integers(0, mask.shape[0] - 1)), draw(st.integers(1, 60))
        mask[top : top + height, left : left + draw(st.integers(1, 60))] = 1
    return mask.T.copy() if draw(st.booleans()) else mask


@given(mask=masks(), band=st.sampled_from(BANDS))
@settings(**SETTINGS, max_examples=100)
def test_plans_give_the_numbers_of_the_full_pass_in_the_hole(narrow, mask, band):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hole_aware, 'BAND', band)
        assert error_in_hole(narrow, mask) < 1e-4


@given(mask=long_masks(), band=st.sampled_from(BANDS))
@settings(**SETTINGS, max_examples=40)
def test_several_plans_give_the_numbers_of_the_full_pass_too(narrow, mask, band):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hole_aware, 'BAND', band)
        assume(len(HoleAware(narrow).plans(mask)) > 1)
        assert error_in_hole(narrow, mask) < 1e-4


@pytest.mark.parametrize(
    ('shape', 'box'), [((150, 310), (50, 0, 90, 40)), ((61, 130), (20, 60, 50, 90))]
)
def test_the_published_network_gives_the_numbers_of_its_full_pass(published_model, shape, box):
    assert error_in_hole(published_model.generator, make_mask(shape, box)) < 1e-4


@pytest.mark.parametrize(
    'options',
    [
        dict(norm_cfg=None),
        dict(norm_cfg=dict(type='IN')),
        dict(norm_cfg=dict(type='IN', affine=True)),
        dict(norm_cfg=dict(type='IN', track_running_stats=True)),
        dict(norm_cfg=dict(type='GN', num_groups=2)),
        dict(norm_cfg=dict(type='SyncBN')),
        dict(act_cfg=dict(type='ELU')),
        dict(act_cfg=dict(type='LeakyReLU', negative_slope=0.2)),
        dict(act_cfg=dict(type='PReLU')),
        dict(act_cfg=dict(type='Tanh')),
        dict(act_cfg=None),
        dict(norm_cfg=None, act_cfg=dict(type='ELU')),
        dict(out_act='sigmoid'),
        dict(residual=True),
        dict(residual=True, norm_cfg=dict(type='IN')),
        dict(base_channels=2),
        dict(base_channels=6),
    ],
    ids=str,
)
@pytest.mark.parametrize('band', BANDS)
def test_other_norms_activations_and_widths_give_the_numbers_of_the_full_pass(
    options, band, monkeypatch
):
    monkeypatch.setattr(hole_aware, 'BAND', band)
    generator = make_generator(**options)
    mask = make_mask((43, 902), (0, 20, 30, 45), (33, 870, 40, 890))
    assert error_in_hole(generator, mask) < 1e-4


def test_bands_change_no_number(narrow, monkeypatch):
    picture = make_picture(make_mask((90, 402), (31, 150, 62, 215)))
    full_pass(narrow, *picture)
    counts, outputs = [], []
    for band in BANDS:
        monkeypatch.setattr(hole_aware, 'BAND', band)
        aware = HoleAware(narrow)
        counts += [len(plan.bands) for plan in aware.plans(picture[1][0, 0].numpy())]
        outputs.append(fill(aware, *picture))
    assert counts[0] == 1 < counts[1] < counts[2] == 45  # the rows of the second layer
    for output in outputs[1:]:
        torch.testing.assert_close(output, outputs[0], rtol=0, atol=1e-5, equal_nan=True)


def test_pictures_of_a_batch_do_not_touch_each_other(narrow):
    mask = make_mask((70, 903), (12, 30, 50, 80), (0, 890, 20, 903))
    masked_img, mask = make_picture(mask, count=3)
    full_pass(narrow, masked_img, mask)
    aware = HoleAware(narrow)
    assert len(aware.plans(mask[0, 0].numpy())) == 2
    together = fill(aware, masked_img, mask)
    one_by_one = [fill(aware, *picture) for picture in zip(masked_img.split(1), mask.split(1))]
    torch.testing.assert_close(together, torch.cat(one_by_one), rtol=0, atol=1e-5, equal_nan=True)


@torch.no_grad()
def test_pictures_of_a_batch_have_each_its_own_holes(narrow):
    boxes = [(12, 30, 50, 80)], [(0, 40, 20, 90), (60, 0, 70, 7)], [], [(12, 30, 50, 80)]
    mask = torch.from_numpy(np.stack([make_mask((70, 90), *some) for some in boxes]))[:, None]
    masked_img = make_picture(mask[2, 0].numpy(), count=4)[0] * (1 - mask)
    expected = full_pass(narrow, masked_img, mask.float())
    fake_res = HoleAware(narrow).fill(masked_img, mask.float())
    torch.testing.assert_close(fake_res * mask, expected * mask, rtol=0, atol=1e-4)


@torch.no_grad()
def test_pictures_have_the_same_bits_in_any_batch_and_with_any_number_of_threads(threads):
    boxes = [(46, 98, 174, 217), (50, 69, 178, 189), (50, 69, 178, 189)]
    mask = torch.from_numpy(np.stack([make_mask((256, 256), box) for box in boxes]))[:, None]
    masked_img = make_picture(mask[0, 0].numpy(), count=3)[0] * (1 - mask)
    aware, mask = HoleAware(make_generator(base_channels=64)), mask.float()
    results = []
    for number, size in ((1, 3), (2, 2), (3, 3), (3, 1)):
        threads(number)
        batches = zip(masked_img.split(size), mask.split(size))
        results.append(torch.cat([aware.fill(*batch) for batch in batches]))
        assert torch.get_num_threads() == number
    assert all(torch.equal(result, results[0]) for result in results)


@pytest.mark.parametrize('base_channels', [4, 64])
def test_bf16_is_within_two_percent_of_fp32(base_channels):
    generator = make_generator(base_channels)
    picture = make_picture(make_mask((61, 130), (20, 60, 50, 90)))
    expected = full_pass(generator, *picture)
    fake_res = fill(HoleAware(generator, 'bf16'), *picture)
    hole = picture[1].expand_as(expected) == 1
    assert 1e-3 < relative_error(fake_res[hole], expected[hole]) < 2e-2


@pytest.mark.parametrize('precision', ['fp32', 'bf16'])
def test_values_are_float32_and_clipped_as_those_of_the_full_pass(narrow, precision):
    mask = make_mask((20, 30), (0, 0, 20, 30))
    picture = make_picture(mask)
    expected = 3 * full_pass(narrow, *picture)
    narrow.decoder.dec7.conv.weight.data *= 3
    narrow.decoder.dec7.conv.bias.data *= 3
    aware = HoleAware(narrow, precision)
    (plan,) = aware.plans(mask)
    fake_res = aware(plan, *picture)
    assert fake_res.dtype == torch.float32
    assert 0.01 < (expected.abs() > 1.2).float().mean() < 0.9
    assert (fake_res.abs()[expected.abs() > 1.2] == 1).all()


def test_another_precision_is_refused(narrow):
    with pytest.raises(UserError, match=r"precision in \['bf16', 'fp32'\], got 'fp16'"):
        HoleAware(narrow, 'fp16')


# In pictures of 402x430 pixels, larger than what a pixel depends on.
BOXES = {
    'a pixel': (200, 213, 201, 214),
    'another': (203, 214, 204, 215),
    'a box': (190, 190, 205, 223),
    'top left': (0, 0, 20, 30),
    'bottom right': (390, 400, 402, 430),
    'near the top': (3, 199, 10, 230),
    'near the right': (205, 401, 217, 429),
}


@pytest.mark.parametrize('box', BOXES.values(), ids=BOXES)
def test_window_is_exactly_what_the_box_depends_on(box):
    generator = make_generator(base_channels=2, norm_cfg=None).double()
    for parameter in generator.parameters():  # nothing is cancelled or cut by a ReLU
        parameter.data.abs_()
    mask = make_mask((402, 430), box)
    (plan,) = HoleAware(generator).plans(mask)
    masked_img, mask = (x.double().abs().requires_grad_() for x in make_picture(mask))
    full_pass(generator, masked_img, mask)
    generator(masked_img, mask)[slices(plan.box)].sum().backward()
    for grad in (masked_img.grad, mask.grad):
        rows, columns = (np.flatnonzero(grad[0].sum(0).sum(axis)) for axis in (1, 0))
        assert plan.window == (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1)


@torch.no_grad()
@pytest.mark.parametrize('box', BOXES.values(), ids=BOXES)
def test_nothing_outside_the_window_has_an_effect(narrow, box):
    hole = make_mask((402, 430), box)
    (plan,) = HoleAware(narrow).plans(hole)
    masked_img, mask = make_picture(hole)
    expected = full_pass(narrow, masked_img, mask)
    outside = torch.ones(402, 430)
    outside[slices(plan.window)] = 0
    assert outside.sum() > 10_000
    changed = narrow(masked_img * (1 - 2 * outside), (mask + outside).clamp(max=1))
    box = slices(plan.box)
    torch.testing.assert_close(changed[box], expected[box], rtol=0, atol=1e-6)
    assert (changed - expected).abs().max() > 0.1


@given(mask=masks())
@settings(**SETTINGS, max_examples=100)
def test_boxes_cover_the_holes(narrow, mask):
    covered = np.zeros_like(mask)
    for plan in HoleAware(narrow).plans(mask):
        covered[slices(plan.box)] = 1
    assert (covered >= mask).all()


def test_a_mask_without_a_hole_has_no_plans(narrow):
    assert HoleAware(narrow).plans(np.zeros((40, 50), np.uint8)) == []


@given(mask=st.one_of(masks(), long_masks()))
@settings(**SETTINGS, max_examples=60)
def test_plans_cost_no_more_than_the_full_pass(counted, mask):
    # Beside what bands share and transposed convolutions cut off: 2.1 percent in 5x5 pixels.
    assert share_of_full_pass(counted, mask) < 1.03


def test_far_holes_have_plans_of_their_own_and_near_ones_share_one(counted):
    shape, box = (2000, 2000), (100, 100, 140, 140)
    for other, count in (((1700, 1800, 1740, 1840), 2), ((100, 150, 140, 190), 1)):
        boxes = {plan.box for plan in counted[1].plans(make_mask(shape, box, other))}
        assert len(boxes) == count
        assert (box in boxes) == (count == 2)
    assert share_of_full_pass(counted, make_mask(shape, box)) < 0.012


def test_a_thin_diagonal_costs_a_fifth_of_its_bounding_box(counted):
    mask = cv2.line(np.zeros((3000, 4000), np.uint8), (0, 0), (3999, 2999), 1, 3)
    assert len(counted[1].plans(mask)) > 10
    assert share_of_full_pass(counted, mask) < 0.2
    assert share_of_full_pass(counted, np.ones_like(mask)) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(('count', 'most'), [(100, 0.2), (300, 0.5), (5000, 1.01)])
def test_specks_all_over_are_planned_in_no_time(counted, count, most):
    rng = np.random.default_rng(0)
    mask = np.zeros((4000, 5000), np.uint8)
    mask[rng.integers(0, 4000, count), rng.integers(0, 5000, count)] = 1
    start = time.process_time()
    counted[1].plans(mask)
    assert time.process_time() - start < 10
    assert share_of_full_pass(counted, mask) < most


def partitions(items: list) -> list[list[list]]:
    """All ways to put items into groups."""
    if not items:
        return [[]]
    found = []
    for rest in partitions(items[1:]):
        found.append([[items[0]], *rest])
        for i, group in enumerate(rest):
            found.append([*rest[:i], [items[0], *group], *rest[i + 1 :]])
    return found


@pytest.mark.parametrize('longest', [60, 200])
def test_cost_of_the_plans_is_near_that_of_the_best_grouping(counted, longest):
    aware, ratios = counted[1], []
    for seed in range(150):
        rng = np.random.default_rng((longest, seed))
        shape = tuple(rng.integers(500, 1200, 2).tolist())
        sides = rng.integers(1, longest, (rng.integers(2, 7), 2))
        corners = rng.integers(0, shape - sides + 1)
        boxes = np.concatenate([corners, corners + sides], axis=1)

        numbers = range(len(boxes))
        groups = [g for size in numbers for g in itertools.combinations(numbers, size + 1)]
        corners = [
            [*boxes[list(g), :2].min(axis=0), *boxes[list(g), 2:].max(axis=0)] for g in groups
        ]
        *costs, whole = aware._cost(np.array([*corners, (0, 0, *shape)]), shape)
        cost = {group: min(value, whole) for group, value in zip(groups, costs)}
        groupings = partitions(list(numbers))
        best = min(sum(cost[tuple(group)] for group in grouping) for grouping in groupings)
        plans = aware.plans(make_mask(shape, *boxes))
        ratios.append(aware._cost(np.array([plan.box for plan in plans]), shape).sum() / best)
    assert np.mean(np.array(ratios) < 1 + 1e-9) > 0.85
    assert np.mean(ratios) < 1.01
    assert np.max(ratios) < 1.3


@pytest.mark.parametrize('box', [(400, 300, 401, 301), (0, 110, 203, 513), (0, 0, 900, 800)])
def test_cost_that_plans_weigh_is_what_they_run(counted, box):
    mask = make_mask((900, 800), box)
    boxes = np.array([box, (0, 0, 900, 800)])
    cost = counted[1]._cost(boxes, mask.shape)
    assert share_of_full_pass(counted, mask) == pytest.approx(cost[0] / cost[1], rel=0.02)
