import json
import math
import re
import sys

import cv2
import numpy as np
import pytest
import torch
import yaml
from conftest import CONFIGS, FORMAT_CODE, ROOT, random_image
from mmengine import Config
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from yapf.yapflib import reformatter

from mmedit_gl.apis import Inpainter, init_model
from mmedit_gl.checkpoint import read_checkpoint
from mmedit_gl.engine import MultiOptimWrapperConstructor, Runner, load_config
from mmedit_gl.errors import UserError

FOLDER = ROOT / 'configs/inpainting/global_local'
NAMES = [path.stem for path in CONFIGS]


def published(
    iter_tc: int, iter_td: int, start_iter: int | None, max_iters: int, train: str, val: str
) -> dict:
    """What MMagic's file says of a training, in our words where the same thing has another name."""
    batch_norm = dict(norm_cfg=dict(type='BN'))  # theirs is SyncBN: see sync_bn
    disc = dict(in_channels=3, max_channels=512, fc_in_channels=8192, fc_out_channels=1024)
    adam = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=0.0004))
    steps = [
        dict(type='LoadImageFromFile'),
        dict(type='RandomCrop', crop_size=(384, 384), allow_smaller=True),
        dict(type='Resize', scale=(256, 256)),
        dict(
            type='LoadMask',
            mask_mode='bbox',
            mask_config=dict(max_bbox_shape=(128, 128), max_bbox_delta=40, min_margin=20),
        ),
        dict(type='PackInputs'),
    ]
    return dict(
        model=dict(
            type='GLInpaintor',
            data_preprocessor=dict(type='GLPreprocessor'),  # to [-1, 1], grey in the hole
            encdec=dict(
                type='GLEncoderDecoder',
                encoder=dict(type='GLEncoder', **batch_norm),
                decoder=dict(type='GLDecoder', **batch_norm),
                dilation_neck=dict(type='GLDilationNeck', **batch_norm),
            ),
            disc=dict(
                type='GLDiscs',
                global_disc_cfg=dict(num_convs=6, **disc, **batch_norm),
                local_disc_cfg=dict(num_convs=5, **disc, **batch_norm),
            ),
            loss_gan=dict(type='GANLoss', gan_type='vanilla', loss_weight=0.001),
            loss_l1_hole=dict(type='L1Loss', loss_weight=1.0),
            train_cfg=dict(
                disc_step=1,
                iter_tc=iter_tc + 1,  # the phases change one iteration after the number says
                iter_td=iter_td + 1,
                start_iter=start_iter,
                local_size=(128, 128),
            ),
        ),
        sync_bn='torch',
        optim_wrapper=dict(constructor='MultiOptimWrapperConstructor', generator=adam, disc=adam),
        param_scheduler=None,
        custom_hooks=None,
        load_from=None,
        train_cfg=dict(type='TrainLoop', max_iters=max_iters, val_interval=50000),
        train_dataloader=dict(
            batch_size=12,
            sampler=dict(type='DrawSampler', shuffle=False),
            dataset=dict(type='ImageDataset', ann_file=train, pipeline=steps),
        ),
        val_dataloader=dict(
            batch_size=1,
            sampler=dict(type='DefaultSampler'),
            dataset=dict(type='ImageDataset', ann_file=val, pipeline=steps),
        ),
    )


PUBLISHED = dict(
    gl_256x256_8x12_places=published(
        90_000,
        100_000,
        350_000,
        500_002,
        train='meta/places365_train_challenge.txt',
        val='meta/places365_val.txt',
    ),
    gl_256x256_8x12_celeba=published(
        40_000,
        50_000,
        None,  # 0
        300_002,
        train='train_celeba_img_list.txt',
        val='val_celeba_img_list.txt',
    ),
)
# What is not as published: its value here, and the word by which the header tells of it, none where
# the result of a training is the same.
DIFFERENCES = {
    'model.train_cfg.start_iter': (None, 'start_iter'),
    'model.train_cfg.disc_step': (None, None),  # one if not said
    'model.trained_hole': (128, None),  # for the tools
    'optim_wrapper.generator.optimizer.fused': (True, None),
    'optim_wrapper.disc.optimizer.fused': (True, None),
    'train_dataloader.sampler.shuffle': (None, 'shuffle'),  # DrawSampler always does
    'train_dataloader.dataset.ann_file': ('train_list.txt', 'ann_file'),
    'val_dataloader.sampler.type': ('EvaluationSampler', 'EvaluationSampler'),
    'val_dataloader.dataset.ann_file': ('val_list.txt', 'ann_file'),
    'val_dataloader.batch_size': (8, None),
}


PAPER = {
    'gl_256x256_paper_places': dict(
        schedule=(90_000, 100_000, 500_000),
        shorter_edge=(256, 384),
        size=256,
        hole=(96, 128),
        local=128,
    ),
    'gl_160x160_paper_celeba': dict(
        schedule=(40_000, 50_000, 300_000),
        shorter_edge=(160, 178),
        size=160,
        hole=(48, 96),
        local=96,
    ),
}
SMALL = ['gl_128x128_demo', 'gl_256x256_photos']


def step_of(loader: Config, name: str) -> Config:
    (step,) = (step for step in loader.dataset.pipeline if step.type == name)
    return step


def test_the_tree_has_the_published_configurations_the_papers_two_small_ones_and_a_template():
    assert sorted([*PUBLISHED, *PAPER, *SMALL, 'gl_256x256_folder']) == NAMES


@pytest.mark.parametrize('name', NAMES)
def test_every_configuration_loads_and_tests_what_it_validates(name):
    cfg = load_config(FOLDER / f'{name}.py')
    assert cfg.default_scope == 'mmedit_gl'
    assert cfg.randomness.seed == 0
    assert (cfg.load_from, cfg.resume) == (None, False)
    assert cfg.test_dataloader == cfg.val_dataloader
    assert cfg.test_evaluator == cfg.val_evaluator


def flat(values: dict | list, name: str = '') -> dict:
    """The values of nested dicts and lists by their whole names."""
    items = enumerate(values) if isinstance(values, list) else values.items()
    result = {}
    for key, value in items:
        nested = isinstance(value, (dict, list))
        result |= flat(value, f'{name}{key}.') if nested else {f'{name}{key}': value}
    return result


@pytest.mark.parametrize('name', PUBLISHED)
def test_published_configurations_are_the_published_ones_but_for_what_their_header_says(name):
    cfg = load_config(FOLDER / f'{name}.py').to_dict()
    for mode in ('train', 'val'):
        loader = cfg[f'{mode}_dataloader']
        pictures = {key: loader['dataset'][key] for key in ('type', 'ann_file', 'pipeline')}
        sizes = {key: loader[key] for key in ('batch_size', 'sampler')}
        cfg[f'{mode}_dataloader'] = dict(**sizes, dataset=pictures)
    theirs, ours = flat(PUBLISHED[name]), flat({key: cfg.get(key) for key in PUBLISHED[name]})
    differences = {key for key in theirs | ours if theirs.get(key) != ours.get(key)}
    there = {key for key in DIFFERENCES if theirs.get(key) is not None or key in ours}
    assert differences == there
    header = (FOLDER / f'{name}.py').read_text().partition('_base_ =')[0]
    _, _, said = header.partition('Differs from the published configuration')
    assert {key: ours.get(key) for key in there} == {key: DIFFERENCES[key][0] for key in there}
    words = {'iter_tc', 'iter_td', 'dec7', *(DIFFERENCES[key][1] for key in there)}
    assert all(word in said for word in words - {None})


def test_the_model_index_and_the_readme_tell_of_the_published_models():
    index = yaml.safe_load((FOLDER / 'metafile.yml').read_text())
    readme = (FOLDER / 'README.md').read_text()
    (collection,) = index['Collections']
    assert (ROOT / collection['README']).samefile(FOLDER / 'README.md')
    assert [model['Name'] for model in index['Models']] == list(PUBLISHED)
    for model in index['Models']:
        cfg = load_config(ROOT / model['Config'])
        assert model['In Collection'] == collection['Name']
        assert model['Metadata']['Iterations'] == cfg.train_cfg.max_iters
        assert model['Metadata']['Batch Size'] == 8 * cfg.train_dataloader.batch_size
        weights = model['Weights'].rpartition('/')[2]
        assert weights.startswith(f'{model["Name"]}_20200619-')
        assert model['Weights'] in readme
        assert weights in (ROOT / model['Config']).read_text()
        l1, psnr, ssim = (f'{value:.3f}' for value in model['Results'][0]['Metrics'].values())
        assert f'| {l1} | {psnr} | {ssim} |' in readme


@pytest.mark.parametrize('name', PUBLISHED)
def test_training_and_validation_pictures_are_kept_apart(name):
    cfg = load_config(FOLDER / f'{name}.py')
    train, val = cfg.train_dataloader.dataset, cfg.val_dataloader.dataset
    assert train.ann_file != val.ann_file
    assert (train.get('test_mode', False), val.test_mode) == (False, True)


@pytest.mark.parametrize('name', PAPER)
def test_the_papers_recipe_is_that_of_the_paper(name):
    cfg, expected = load_config(FOLDER / f'{name}.py'), PAPER[name]
    model, loader = cfg.model, cfg.train_dataloader
    train_cfg = model.train_cfg
    assert (train_cfg.iter_tc, train_cfg.iter_td, cfg.train_cfg.max_iters) == expected['schedule']
    assert 8 * loader.batch_size == 96
    assert model.loss_l1_hole == dict(type='MSELoss', loss_weight=1.0)
    assert model.loss_gan == dict(type='GANLoss', gan_type='vanilla', loss_weight=0.0004)
    assert model.encdec.decoder.out_act == 'sigmoid'
    for network in ('generator', 'disc'):
        assert cfg.optim_wrapper[network] == dict(
            type='OptimWrapper', optimizer=dict(type='Adadelta')
        )
    types = ['LoadImageFromFile', 'RandomResize', 'RandomCrop', 'LoadMask', 'PackInputs']
    assert [step.type for step in loader.dataset.pipeline] == types
    assert step_of(loader, 'RandomResize').scale == expected['shorter_edge']
    assert step_of(loader, 'RandomCrop').crop_size == (expected['size'],) * 2
    mask, (smallest, largest) = step_of(loader, 'LoadMask'), expected['hole']
    assert (mask.mask_mode, mask.real_bbox) == ('bbox', True)
    delta = 2 * (largest - smallest)
    assert mask.mask_config == dict(max_bbox_shape=(largest, largest), max_bbox_delta=delta)
    assert train_cfg.local_size == (expected['local'],) * 2


@pytest.mark.parametrize(
    ('paper', 'published'),
    [
        ('gl_256x256_paper_places', 'gl_256x256_8x12_places'),
        ('gl_160x160_paper_celeba', 'gl_256x256_8x12_celeba'),
    ],
)
def test_the_papers_recipe_trains_on_the_pictures_of_the_published_one(paper, published):
    cfgs = [load_config(FOLDER / f'{name}.py') for name in (paper, published)]
    for mode in ('train', 'val'):
        sets = [dict(cfg[f'{mode}_dataloader'].dataset) for cfg in cfgs]
        pipelines = [pictures.pop('pipeline') for pictures in sets]
        assert sets[0] == sets[1]
        # Scenes are measured as the published recipe's are.
        assert (pipelines[0] == pipelines[1]) == (mode == 'val' and 'places' in paper)


@pytest.mark.parametrize('name', NAMES)
def test_every_configuration_trains_through_all_phases(name, small_config, tmp_path):
    cfg = load_config(small_config(name))
    cfg.work_dir = str(tmp_path / 'run')
    runner = Runner.from_cfg(cfg)
    before = {key: value.clone() for key, value in runner.model.named_parameters()}
    model = runner.train()

    still = [key for key, value in model.named_parameters() if torch.equal(value, before[key])]
    assert still == []
    assert {key.split('.')[0] for key in before} == {'generator', 'disc'}
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())

    saved = read_checkpoint(tmp_path / 'run/iter_6.pth')['state_dict']
    assert all(torch.equal(value, saved[key]) for key, value in model.state_dict().items())
    metrics = json.loads((tmp_path / 'run/metrics.json').read_text())
    assert {'l1', 'psnr', 'ssim', 'num_images'} <= metrics.keys()
    assert all(math.isfinite(value) for value in metrics.values())
    assert metrics['num_images'] == len(runner.val_dataloader.dataset)
    assert ('telea/l1' in metrics) == (name in [*SMALL, 'gl_256x256_folder'])


@pytest.mark.parametrize('name', NAMES)
def test_every_configuration_builds_its_model_at_full_size(name):
    cfg = load_config(FOLDER / f'{name}.py')
    model = init_model(cfg, device='cpu')
    base = model.generator.encoder.enc1.conv.out_channels
    assert base == dict(gl_128x128_demo=16).get(name, 64)
    size = dict(gl_128x128_demo=128, gl_160x160_paper_celeba=160).get(name, 256)
    with torch.no_grad():
        window = torch.zeros(1, 3, *cfg.model.train_cfg.local_size)
        logit = model.disc(torch.zeros(1, 3, size, size), window)
    assert logit.shape == (1, 1)


def write(tmp_path, text):
    path = tmp_path / 'own.py'
    path.write_text(text)
    return path


def test_a_configuration_of_ones_own_may_inherit_and_have_private_names(tmp_path):
    text = (
        f'_base_ = {str(CONFIGS[0])!r}\n_crop = (9, 9)\nmodel = dict(train_cfg=dict(iter_tc=7))\n'
    )
    cfg = load_config(write(tmp_path, text))
    assert cfg._crop == (9, 9)
    assert cfg.model.train_cfg.iter_tc == 7
    assert cfg.model.train_cfg.iter_td == load_config(CONFIGS[0]).model.train_cfg.iter_td


def test_a_configuration_in_pure_python_is_read_too(tmp_path):
    folder = ROOT / 'configs/_base_'
    bases = [(folder / name).read_text() for name in ('default_runtime.py', 'models/gl.py')]
    (tmp_path / 'base.py').write_text('\n'.join(bases))
    cfg = load_config(
        write(
            tmp_path,
            'from mmengine.config import read_base\n'
            'from torch.optim import SGD\n\n'
            'with read_base():\n'
            '    from .base import *\n\n'
            'model.update(dict(trained_hole=64, train_cfg=None))\n'
            "optim_wrapper['disc'].update(dict(optimizer=dict(type=SGD, lr=0.1)))\n",
        )
    )
    assert cfg.model.trained_hole == 64
    assert cfg.model.loss_gan.loss_weight == 0.001
    init_default_scope('mmedit_gl')
    wrappers = {'disc': cfg.optim_wrapper.disc}
    built = MultiOptimWrapperConstructor(wrappers)(init_model(cfg, device='cpu'))
    assert isinstance(built['disc'].optimizer, torch.optim.SGD)


def test_options_are_put_over_the_file():
    options = {'model.train_cfg.iter_tc': 5, 'train_dataloader.batch_size': 3, 'work_dir': 'here'}
    cfg = load_config(CONFIGS[0], options)
    assert cfg.model.train_cfg.iter_tc == 5
    assert cfg.train_dataloader.batch_size == 3
    assert cfg.work_dir == 'here'


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('train_config = dict()', "unknown configuration key 'train_config': did you mean 'train_"),
        ('max_iters = 3', "unknown configuration key 'max_iters': expected one of .*'train_cfg'"),
        ('model_wrapper_cfg = 3', r"key 'model_wrapper_cfg': expected one of .* begins with _"),
        ('model = dict(', r'cannot read the configuration .*own\.py: .*was never closed'),
        ("_base_ = 'none.py'", r'cannot read the configuration .*own\.py: .*none\.py'),
    ],
)
def test_a_configuration_with_a_mistake_is_refused(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        load_config(write(tmp_path, text))


def test_an_unknown_option_is_refused_like_an_unknown_key():
    with pytest.raises(UserError, match="'optim_wraper': did you mean 'optim_wrapper'"):
        load_config(CONFIGS[0], {'optim_wraper.generator.optimizer.lr': 1e-3})


@pytest.mark.parametrize('how', ['file', 'option', 'pure python'])
def test_custom_imports_are_imported_wherever_they_stand(tmp_path, monkeypatch, how):
    name = f'own_modules_{how.replace(" ", "_")}'
    (tmp_path / f'{name}.py').write_text('')
    monkeypatch.syspath_prepend(tmp_path)
    imports = f'custom_imports = dict(imports=[{name!r}])\n'
    texts = {
        'file': imports,
        'option': '',
        'pure python': f'from torch.optim import SGD\n{imports}',
    }
    options = {'custom_imports.imports': [name]} if how == 'option' else {}
    assert name not in sys.modules
    load_config(write(tmp_path, f'{texts[how]}_own = 1\n'), options)
    assert name in sys.modules


@pytest.mark.parametrize(
    ('value', 'reason'),
    [
        (dict(imports=['no_such_module']), "No module named 'no_such_module'"),
        (dict(imports=7), "custom_imports must be a list but got type <class 'int'>"),
        (dict(import_='os'), "import_modules_from_strings.. got an unexpected .* 'import_'"),
        ('os', '.* must be a mapping, not str'),
    ],
)
def test_custom_imports_that_cannot_be_are_refused_in_one_sentence(tmp_path, value, reason):
    begin = (
        r'custom_imports: expected dict\(imports=\[\.\.\.\]\) of modules that Python finds, as by '
    )
    sentence = rf'{begin}PYTHONPATH, got {re.escape(repr(value))} \({reason}\)'
    path = write(tmp_path, f'_own = 1\ncustom_imports = {value!r}\n')
    for options in ({}, {'custom_imports': value}):
        with pytest.raises(UserError) as error:
            load_config(path if not options else write(tmp_path, '_own = 1\n'), options)
        assert re.fullmatch(sentence, str(error.value))


@pytest.mark.parametrize(
    'option',
    ['_base_=other.py', '_bbox.a=3', '_delete_=True', '_deprecation_=1', 'vis_backends=[]'],
)
def test_an_option_whose_name_is_for_the_file_alone_is_refused(option):
    key, _, value = option.partition('=')
    sentence = (
        rf'^option {key}: a name of this kind has an effect in a file alone: give the keys that '
    )
    with pytest.raises(UserError, match=sentence):
        load_config(CONFIGS[0], {key: value})


@pytest.mark.parametrize(
    'word', ['{{ fileBasenameNoExtension }}', '{{$HOME:none}}', '{{_base_.work_dir}}']
)
def test_an_option_with_what_a_file_replaces_is_refused(word):
    with pytest.raises(
        UserError, match=rf'^option work_dir: {re.escape(word)} is replaced in a file'
    ):
        load_config(CONFIGS[0], {'work_dir': f'runs/{word}'})


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        ({'_a.b.d': 5}, dict(b=dict(c=1, d=5), e=[dict(f=2), 3])),
        ({'_a.b._delete_': True, '_a.b.d': 5}, dict(b=dict(d=5), e=[dict(f=2), 3])),
        ({'_a.b.d': 5, '_a.b._delete_': True}, dict(b=dict(d=5), e=[dict(f=2), 3])),
        ({'_a.b._delete_': False, '_a.b.d': 5}, dict(b=dict(c=1, d=5), e=[dict(f=2), 3])),
        ({'_a.e.0._delete_': True, '_a.e.0.g': 5}, dict(b=dict(c=1), e=[dict(g=5), 3])),
        ({'_a.e.0': dict(_delete_=True, g=5)}, dict(b=dict(c=1), e=[dict(g=5), 3])),
        ({'_a.e.1': 7}, dict(b=dict(c=1), e=[dict(f=2), 7])),
        ({'_a.n': dict(_delete_=True, g=5)}, dict(b=dict(c=1), e=[dict(f=2), 3], n=dict(g=5))),
        ({'_a': dict(_delete_=True, g=dict(_delete_=True, h=1))}, dict(g=dict(h=1))),
    ],
)
def test_options_go_over_dicts_and_lists_and_delete_what_was_there(tmp_path, options, expected):
    text = 'compile = dict(b=dict(c=1), e=[dict(f=2), 3])\n'
    options = {key.replace('_a', 'compile', 1): value for key, value in options.items()}
    assert load_config(write(tmp_path, text), options).to_dict() == dict(compile=expected)


@pytest.mark.parametrize(
    ('options', 'sentence'),
    [
        (
            {'compile.1.x': 3},
            r'compile\.1: expected a dict for x, got 3: set compile\.1\._delete_=True to .*',
        ),
        ({'compile.2.x': 3}, r'compile\.2: expected a place from 0 to 1'),
        ({'compile.x': 3}, r'compile\.x: expected a place from 0 to 1'),
        (
            {'resume': True, 'resume.x': 3},
            'resume.x: resume has another option, True: give one of both',
        ),
    ],
)
def test_an_option_without_a_place_is_refused(tmp_path, options, sentence):
    path = write(tmp_path, 'compile = [dict(f=2), 3]\n')
    with pytest.raises(UserError) as error:
        load_config(path, options)
    assert re.fullmatch(f'option {sentence}', str(error.value))


def test_a_missing_configuration_is_refused(tmp_path):
    with pytest.raises(UserError, match=r'no configuration .*none\.py: expected a Python file'):
        load_config(tmp_path / 'none.py')
    with pytest.raises(UserError, match='no configuration'):
        load_config(tmp_path)


@pytest.mark.parametrize(
    ('name', 'file'),
    [
        ('gl_256x256_8x12_places', FOLDER / 'gl_256x256_8x12_places.py'),
        ('gl_256x256_8x12_places.py', FOLDER / 'gl_256x256_8x12_places.py'),
        ('configs/inpainting/global_local/gl_128x128_demo.py', FOLDER / 'gl_128x128_demo.py'),
        ('inpainting/photos/boxes', ROOT / 'configs/inpainting/photos/boxes.py'),
    ],
)
def test_a_configuration_is_found_by_its_name_in_any_folder(name, file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_config(name).to_dict() == load_config(file).to_dict()


def test_a_file_that_is_there_comes_before_the_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'gl_128x128_demo.py').write_text('work_dir = "own"')
    assert load_config('gl_128x128_demo.py').to_dict() == dict(work_dir='own')
    assert load_config('gl_128x128_demo').train_cfg.max_iters == 800


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('gl_128x128_dmo', 'expected a Python file, or a name as gl_128x128_demo'),
        ('own/gl_128x128_demo.py', 'expected a Python file, or a name as gl_128x128_demo'),
        ('models/gl', 'expected a Python file, or a name as .*boxes'),
        ('', 'expected a Python file, or a name as .*boxes'),
    ],
)
def test_what_is_no_name_of_a_configuration_is_refused_with_the_close_ones(name, message):
    with pytest.raises(UserError, match=f'no configuration .*: {message}'):
        load_config(name)


def test_a_name_of_several_configurations_is_refused_with_all(tmp_path, monkeypatch):
    for folder in ('a', 'b'):
        (tmp_path / 'configs' / folder).mkdir(parents=True)
        (tmp_path / 'configs' / folder / 'same.py').write_text('')
    monkeypatch.setattr('mmedit_gl.engine.config.CONFIGS', tmp_path / 'configs')
    with pytest.raises(UserError, match='are named same: configs/a/same, configs/b/same'):
        load_config('same')
    assert load_config('b/same').to_dict() == {}


def test_an_inpainter_takes_the_name_of_a_configuration(tmp_path):
    weights = init_model('gl_128x128_demo', device='cpu').state_dict()
    torch.save(dict(state_dict=weights), tmp_path / 'weights.pth')
    inpainter = Inpainter('gl_128x128_demo', tmp_path / 'weights.pth', 'cpu')
    assert inpainter.trained_hole == 56


def test_a_configuration_is_formatted_once(tmp_path, monkeypatch):
    monkeypatch.setattr('mmengine.config.config.FormatCode', FORMAT_CODE)
    calls, reformat = [], reformatter.Reformat
    monkeypatch.setattr(reformatter, 'Reformat', lambda *a: calls.append(a) or reformat(*a))
    cfg = load_config('gl_128x128_demo')
    cfg.work_dir = str(tmp_path)  # a text that nothing else has
    assert len({cfg.pretty_text for _ in range(3)}) == len(calls) == 1


@pytest.mark.parametrize('mask_mode', ['ff', 'irregular'])
def test_strokes_larger_than_the_window_train_through_all_phases_and_resume_exactly(
    mask_mode, small_config, tmp_path
):
    cfg = load_config(small_config('gl_256x256_paper_places'))
    cfg.model.data_preprocessor.hole_colour = (110.5, 117, 123.25)
    mask = step_of(cfg.train_dataloader, 'LoadMask')
    mask.mask_mode, mask.mask_config = mask_mode, dict(brush_width=(4, 8))
    cfg.default_hooks.checkpoint.interval = 1
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.dump(tmp_path / 'strokes.py')

    boxes = []

    class BoxKeeper(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch):
            boxes.append(data_batch['mask_bbox'])

    def train(name: str, **options) -> dict:
        own = load_config(tmp_path / 'strokes.py', options)
        own.work_dir, own.experiment_name = str(tmp_path / name), f'{mask_mode}_{name}'
        runner = Runner.from_cfg(own)
        runner.register_hook(BoxKeeper())
        runner.train()
        return read_checkpoint(tmp_path / name / 'iter_6.pth')

    whole = train('whole')
    assert (torch.cat(boxes)[:, 2:] > 32).any(dim=1).sum() > 6  # of 12
    for start in (1, 3, 5):
        checkpoint = str(tmp_path / f'whole/iter_{start}.pth')
        resumed = train(f'from_{start}', resume=True, load_from=checkpoint)
        for name, value in whole['state_dict'].items():
            assert torch.equal(resumed['state_dict'][name], value), name
        for network, state in whole['optimizer'].items():
            for parameter, values in state['state'].items():
                for name, value in values.items():
                    other = resumed['optimizer'][network]['state'][parameter][name]
                    assert torch.equal(other, value)


@pytest.mark.parametrize(
    ('name', 'smallest', 'largest'),
    [
        ('strokes', 0, 480),
        ('boxes', 48, 64),
        ('ellipses_120', 98, 148),
        ('ellipses_170', 138, 209),
    ],
)
def test_photographs_are_measured_with_holes_of_four_kinds(name, smallest, largest, tmp_path):
    for i in range(6):
        cv2.imwrite(str(tmp_path / f'{i}.png'), random_image(i, 192, 240))
    cfg = load_config(ROOT / f'configs/inpainting/photos/{name}.py')
    cfg.test_dataloader.dataset.data_root = str(tmp_path)
    init_default_scope('mmedit_gl')
    samples = list(Runner.build_dataloader(cfg.test_dataloader, seed=0))
    assert [tuple(sample['gt_img'].shape) for sample in samples] == [(1, 384, 480, 3)] * 6
    areas = [sample['mask'].sum().item() for sample in samples]
    sides = torch.cat([sample['mask_bbox'] for sample in samples])[:, 2:]
    assert smallest <= sides.min() and sides.max() <= largest
    if 'ellipses' in name:
        diameter = int(name.removeprefix('ellipses_'))
        assert np.allclose(areas, np.pi / 4 * diameter**2, rtol=0.03)
    else:
        assert min(areas) > 0 and max(areas) < 0.1 * 384 * 480
