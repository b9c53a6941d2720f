"""Configurations of OpenMMLab's Global&Local, of MMEditing 0.x and MMagic 1.x, in our words.

`SECTIONS` says of each key of each section what becomes of it: the same, another name, nothing, or
a value or two that alone have a counterpart. What it does not name is refused. README.md lists what
differs from theirs.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from mmengine import Config
from mmengine.utils import is_seq_of

from mmedit_gl.engine.translation import (
    Rule,
    Translation,
    becomes,
    expect,
    given,
    left_out,
    merged,
    nothing,
    refused,
    same,
    spread,
    within,
)
from mmedit_gl.errors import UserError, concerns
from mmedit_gl.shipped import CONFIGS

SCOPES = ('mmagic', 'mmedit')
PACKAGES = (*SCOPES, 'mmcv', 'mmengine')
ONLY_IN_0X = {'data', 'optimizers', 'total_iters', 'lr_config', 'checkpoint_config'}
PREPROCESSORS = ('DataPreprocessor', 'EditDataPreprocessor')
PACKING = ('PackInputs', 'PackEditInputs', 'Collect', 'ImageToTensor', 'ToTensor')
# What logs in a folder, as ours always does, and what at a service: mmengine's name for it, if any.
LOGGERS = ('TextLoggerHook', 'IterTextLoggerHook', 'TensorboardLoggerHook')
SERVICES = dict(
    WandbLoggerHook='WandbVisBackend',
    MlflowLoggerHook='MLflowVisBackend',
    NeptuneLoggerHook='NeptuneVisBackend',
    ClearMLLoggerHook='ClearMLVisBackend',
    DvcliveLoggerHook='DVCLiveVisBackend',
    PaviLoggerHook=None,
    SegmindLoggerHook=None,
    SageMakerExperimentsHook=None,
)
LOCAL_BACKENDS = ('LocalVisBackend', 'VisBackend', 'GenVisBackend')
LOCAL_BACKENDS += ('TensorboardVisBackend', 'TensorboardGenVisBackend')
# Hooks that draw pictures of the run, as CompletionsHook and TrainSamplesHook do.
DRAWING = ('BasicVisualizationHook', 'VisualizationHook', 'MMEditVisualizationHook')
DRAWING += ('GenVisualizationHook', 'EditVisualizationHook')
TIMERS = ('IterTimerHook', 'EditIterTimerHook', 'GenIterTimerHook')
COLLATIONS = (dict(type='pseudo_collate'), dict(type='default_collate'))
EVALUATORS = ('Evaluator', 'EditEvaluator', 'GenEvaluator')
# InpaintingMetrics measures all of ours, always.
METRICS = dict(l1='l1', psnr='psnr', ssim='ssim', MAE='l1', PSNR='psnr', SSIM='ssim')
RULES = dict(l1='less', l1_image='less', psnr='greater', ssim='greater')
PICTURE = ('gt', 'gt_img', 'img', ['gt'], ['gt_img'], ['img'])


def generation(cfg: dict) -> str | None:
    """Which of OpenMMLab's projects a configuration is of; None for this one."""
    scope = cfg.get('default_scope')
    part = cfg
    for key in ('model', 'data_preprocessor', 'type'):
        part = part.get(key) if isinstance(part, dict) else None
    if scope in SCOPES or (scope is None and str(part).rpartition('.')[2] in PREPROCESSORS):
        return 'MMagic 1.x'
    phases = cfg.get('train_cfg')
    is_of_0x = ONLY_IN_0X & cfg.keys() or (isinstance(phases, dict) and 'iter_tc' in phases)
    return 'MMEditing 0.x' if scope is None and is_of_0x else None


def translate(theirs: dict) -> tuple[dict, dict[str, list[str]]]:
    """A configuration of theirs in our words, complete, and what there is to say about it.

    Raises `UserError` for what would have an effect and has no counterpart.
    """
    theirs = _without_packages(theirs)
    translation = Translation(theirs, SECTIONS, DEFAULTS)
    ours = translation.section(generation(theirs), theirs, '')
    if 'model' in ours:
        with concerns('mask_config.max_bbox_shape: expected a number of pixels, or a pair of them'):
            ours['model']['trained_hole'] = _trained_hole(ours)
        ours['sync_bn'] = _sync_bn(theirs['model'])
    if 'train_dataloader' in ours:
        translation.differs.append("the generator's last convolution begins closer to zero")
    base = Config.fromfile(CONFIGS / '_base_/default_runtime.py').to_dict()
    base['default_hooks']['checkpoint']['save_best'] = None
    return merged(base, ours), translation.notes()


def _without_packages(value: Any) -> Any:
    """`mmagic.GLInpaintor` is `GLInpaintor`, wherever it is the type of something."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(_without_packages, value))
    if not isinstance(value, dict):
        return value
    value = {key: _without_packages(part) for key, part in value.items()}
    package, _, name = str(value.get('type', '')).rpartition('.')
    return {**value, 'type': name} if package in PACKAGES else value


def _sync_bn(model: dict) -> str | None:
    """What `sync_bn` is for networks whose every batch norm is SyncBN, or none."""
    kinds = {norm['type'] for norm in _norms(model) if norm.get('type') in ['BN', 'SyncBN']}
    if len(kinds) == 2:
        raise UserError('norm_cfg: BN in some networks, SyncBN in others: expected one of them')
    return 'torch' if kinds == {'SyncBN'} else None


def _norms(model: dict) -> Iterator[dict]:
    for key, value in model.items():
        if isinstance(value, dict):
            yield from [value] if key == 'norm_cfg' else _norms(value)


def _trained_hole(ours: dict) -> int | None:
    """The longest side of the boxes of training, or where there is none of testing."""
    loader = ours.get('train_dataloader') or ours.get('test_dataloader') or {}
    sides = [
        np.max(step['mask_config']['max_bbox_shape'])
        for dataset in _of_pictures(loader.get('dataset', {}))
        for step in dataset.get('pipeline', [])
        if step.get('mask_mode') == 'bbox'
    ]
    return int(max(sides)) if sides else None


def _of_pictures(dataset: dict) -> Iterator[dict]:
    """A data set of pictures, or those that one is made of."""
    parts = [dataset['dataset']] if 'dataset' in dataset else dataset.get('datasets', ())
    for part in parts:
        yield from _of_pictures(part)
    if not parts:
        yield dataset


def _total_iters(translation: Translation, path: str, key: str, value: int) -> dict:
    interval = (translation.theirs.get('evaluation') or {}).get('interval', value)
    return dict(train_cfg=dict(type='TrainLoop', max_iters=value, val_interval=interval))


def _model_of_0x(translation: Translation, path: str, key: str, value: dict) -> dict:
    ours = dict(model=translation.section('model', {**value, 'pretrained': None}, path))
    if weights := value.get('pretrained'):
        translation.changed.append('model.pretrained is load_from')
        ours['load_from'] = weights
    return ours


def _norm(translation: Translation, path: str, key: str, value: dict | None) -> dict:
    """Of SyncBN a BN, whose statistics `sync_bn` takes over all processes."""
    if value is None:
        return {key: None}
    if value.get('type') == 'SyncBN':
        translation.changed.append("SyncBN is BN, with sync_bn='torch'")
        value = {**value, 'type': 'BN'}
    return {key: value}


def _if_true(translation: Translation, path: str, key: str, value: bool) -> dict:
    return left_out(translation, path, key, value or None)


def _preprocessor(translation: Translation, path: str, key: str, value: dict) -> dict:
    ours = translation.section('data_preprocessor', value, path)
    for name in ('mean', 'std'):
        if value.get('type') == 'EditDataPreprocessor' and name not in value:
            raise UserError(
                f'{path}.{name}: expected 127.5, for the default of EditDataPreprocessor is '
                'another in the first releases than in the last'
            )
    return {key: ours}


def _auto_scale_lr(translation: Translation, path: str, key: str, value: dict | None) -> dict:
    if isinstance(value, dict) and value.get('enable'):
        raise UserError(f'{path}.enable=True has no counterpart in this project: give the rates')
    return left_out(translation, path, key, value)


def _phases(translation: Translation, path: str, key: str, value: dict | None) -> dict:
    if value is None:
        return {}
    ours, start = translation.section('phases', value, path), value.get('start_iter') or 0
    for name in ('iter_tc', 'iter_td'):
        if not isinstance(theirs := value.get(name), int):
            raise UserError(f'{path}.{name}: expected a number of iterations, got {theirs!r}')
        # Theirs counts from start_iter on, and an iteration of this number is of the phase before.
        ours[name] = max(0, theirs + 1 - start)
        translation.changed.append(f'{name}={theirs} is {ours[name]}')
    if start:
        if translation.theirs.get('resume') or translation.theirs.get('resume_from'):
            raise UserError(
                f'{path}.start_iter={start} with a run that is resumed, which knows its iteration: '
                'set start_iter=0'
            )
        phase = 'generator' if ours['iter_tc'] else 'discriminators'
        phase = phase if ours['iter_td'] else 'joint'
        translation.differs.append(
            f'start_iter={start}: training begins in the {phase} phase, from weights (--load-from)'
        )
    return dict(train_cfg=ours)


def _loader(translation: Translation, path: str, key: str, value: dict | None) -> dict:
    if value is None:
        return {key: None}
    if isinstance(value, list):  # one for each data set
        if len(value) != 1:
            raise UserError(f'{path}: expected one loader, got {len(value)}')
        (value,) = value
    is_train = key == 'train_dataloader'
    ours = translation.section('loader', value, path)
    ours['collate_fn'] = dict(type='default_collate')
    if is_train:  # an endless sampler has no last batch
        ours['drop_last'] = True
    ours['sampler'] = dict(type='DrawSampler' if is_train else 'EvaluationSampler')
    if 'dataset' in ours and not is_train:
        _be_strict(ours)
    sampler = value.get('sampler') or {}
    if sampler.get('type'):
        translation.changed.append(f'{sampler["type"]} is {ours["sampler"]["type"]}')
    if is_train and sampler.get('shuffle') is False:
        translation.differs.append('shuffle=False: training shuffles its pictures')
    if not is_train and sampler.get('shuffle'):
        translation.differs.append(f'{key}: shuffle=True: pictures are evaluated in order')
    return {key: ours}


def _be_strict(loader: dict) -> None:
    for dataset in _of_pictures(loader['dataset']):
        dataset['test_mode'] = True


def _data_of_0x(translation: Translation, path: str, key: str, value: dict) -> dict:
    shared = translation.section('data', value, path)
    own = shared.pop('evaluated', {})
    evaluated = {**shared, 'sampler': {}, 'batch_size': 1, **own}
    if value.get('test') is None and value.get('val') is not None:
        translation.changed.append(f'what {path}.val says is tested, for there is no {path}.test')
        value = {**value, 'test': value['val']}
    ours = {}
    for mode in ('train', 'val', 'test'):
        if (dataset := value.get(mode)) is None:
            continue
        own = f'{mode}_dataloader'
        loader = merged(
            shared if mode == 'train' else evaluated,
            translation.section('loader of 0.x', value.get(own) or {}, f'{path}.{own}'),
        )
        loader['persistent_workers'] = loader.get('num_workers', 0) > 0
        ours |= _loader(translation, own, own, {**loader, 'dataset': None})
        ours[own]['dataset'] = _pictures(translation, f'{path}.{mode}', dataset)
        if mode != 'train':
            _be_strict(ours[own])
    measured = ('test', 'val') if translation.theirs.get('evaluation') else ('test',)
    for mode in measured:
        if f'{mode}_dataloader' in ours:
            ours[f'{mode}_cfg'] = dict(type=f'{mode.capitalize()}Loop')
            ours[f'{mode}_evaluator'] = dict(type='InpaintingMetrics')
    if 'val' not in measured:
        ours.pop('val_dataloader', None)
    return ours


def _dataset(translation: Translation, path: str, key: str, value: dict | None) -> dict:
    return {} if value is None else {key: _pictures(translation, path, value)}


def _datasets(translation: Translation, path: str, key: str, value: list) -> dict:
    ours = [_pictures(translation, f'{path}[{i}]', part) for i, part in enumerate(value)]
    return {key: ours}


def _pictures(translation: Translation, path: str, value: Any) -> dict:
    """A data set, or what is made of several; of 0.x a list, of data sets or of their lists."""
    is_of_0x = generation(translation.theirs) == 'MMEditing 0.x'
    if is_of_0x and isinstance(value, dict) and isinstance(value.get('ann_file'), (list, tuple)):
        value = [{**value, 'ann_file': file} for file in value['ann_file']]
    if is_of_0x and isinstance(value, (list, tuple)):
        return dict(type='ConcatDataset', **_datasets(translation, path, 'datasets', value))
    if isinstance(value, dict) and value.get('type') in ('ConcatDataset', 'RepeatDataset'):
        return translation.section(value['type'], value, path)
    if is_of_0x:
        return translation.section('dataset of 0.x', value, path)
    ours = translation.section('dataset', value, path)
    masks = ours.get('data_prefix', {}).pop('mask', None)
    for step in ours.get('pipeline', []):
        if step.get('mask_mode') == 'file':
            if masks is None:
                raise UserError(
                    f"{path}.data_prefix: mask_mode 'file' takes the masks of its key 'mask', and "
                    f'there is none in {value.get("data_prefix")!r}'
                )
            step['mask_config'] = dict(mask_dir=str(Path(value.get('data_root') or '', masks)))
    if not value.get('ann_file') and not value.get('recursive'):
        translation.differs.append('pictures are found in subfolders too')
    elif value.get('ann_file') and 'recursive' in value:
        translation.left_out.append(f'{path}.recursive, beside ann_file')
    return ours


def _prefix_of_0x(translation: Translation, path: str, key: str, value: str | None) -> dict:
    return {key: dict(gt=value or '')}


def _pipeline(translation: Translation, path: str, key: str, value: list) -> dict:
    """Ours: the mask comes last, of the picture as it then is."""
    steps, masks, tables = [], [], translation.tables('step ')
    for number, step in enumerate(value):
        if not isinstance(step, dict):
            raise UserError(f'{path}[{number}]: expected a dict, got {step!r}')
        kind, place = step.get('type'), f'{path}[{number}] ({step.get("type")})'
        step = {name: given for name, given in step.items() if name != 'type'}
        if kind == 'LoadMask':
            masks.append(_mask(translation, place, step))
        elif kind in PACKING:
            continue
        elif kind not in tables:
            raise UserError(
                f'{place} has no counterpart in this project: expected one of '
                f'{", ".join([*tables, "LoadMask", *PACKING])}'
            )
        elif kind == 'Resize':
            steps.append(_resize(translation, place, step))
        elif ours := translation.section(tables[kind], step, place):
            steps.append(ours)
    if len(masks) != 1:
        raise UserError(f'{path}: expected one LoadMask among its steps, got {len(masks)}')
    if generation(translation.theirs) == 'MMEditing 0.x' and not _is_normalized(value):
        raise UserError(f'{path}: expected Normalize among its steps, before GetMaskedImage')
    if masks[0]['mask_mode'] == 'file' and any(step['type'] == 'Flip' for step in steps):
        translation.differs.append("Flip turns a mask of mask_mode='file' with its picture")
    return {key: [*steps, *masks, dict(type='PackInputs')]}


def _is_normalized(steps: list[dict]) -> bool:
    for step in steps:
        if step['type'] in ('Normalize', 'GetMaskedImage'):
            return step['type'] == 'Normalize'
    return False


def _to_float32(translation: Translation, path: str, key: str, value: bool) -> dict:
    if value:
        translation.differs.append('to_float32=True: what is resized is rounded to whole numbers')
    return {}


def _crop(translation: Translation, path: str, key: str, value: bool) -> dict:
    ours = 'RandomCrop' if value else 'CenterCrop'
    translation.changed.append(f'Crop(random_crop={value}) is {ours}(allow_smaller=True)')
    return dict(type=ours, allow_smaller=True)


def _resize(translation: Translation, path: str, step: dict) -> dict:
    """With a -1 theirs scales the shorter edge to the other number."""
    ours = translation.section('step Resize', step, path)
    scale = ours.get('scale')
    if isinstance(scale, (tuple, list)) and -1 in scale:
        if not ours.get('keep_ratio'):
            raise UserError(f'{path}.scale={scale}: expected keep_ratio=True beside a -1')
        ours['scale'] = max(scale)
    return ours


def _keep_ratio(translation: Translation, path: str, key: str, value: bool) -> dict:
    return {key: True} if value else {}


def _mask(translation: Translation, path: str, theirs: dict) -> dict:
    mode = theirs.get('mask_mode', 'bbox')
    tables = translation.tables('mask ')
    expect(f'{path}.mask_mode', mode, tables)
    config = theirs.get('mask_config') or {}
    shape = config.get('img_shape')
    config = translation.section(tables[mode], config, f'{path}.mask_config')
    if mode in ('set', 'file'):
        translation.differs.append('of a mask file is hole what is at least half of white')
    if mode == 'file':
        translation.changed.append('the mask of a picture is the PNG file of its stem')
    if mode in ('irregular', 'ff') and isinstance(shape, (tuple, list)) and len({*shape[:2]}) > 1:
        translation.differs.append('strokes begin anywhere in a picture that is not square')
    return dict(type='LoadMask', mask_mode=mode, mask_config=config)


def _evaluator(translation: Translation, path: str, key: str, value: Any) -> dict:
    if value is None:
        return {key: None}
    for number, metric in enumerate(_metrics(value)):
        place = f'{path}[{number}]'
        kinds = translation.tables('metric ')
        expect(f'{place}.type', _type(metric), kinds)
        translation.section(kinds[metric['type']], metric, place)
        theirs, ours = _score(metric)
        translation.changed.append(f'{theirs} is {ours}')
        if metric['type'] == 'MAE' and (scaling := metric.get('scaling', 1)) != 100:
            translation.differs.append(f'{ours} is {theirs} with scaling=100, not {scaling}')
    translation.changed.append('InpaintingMetrics measures all that it has')
    return {key: dict(type='InpaintingMetrics')}


def _metrics(evaluator: Any) -> list:
    """What an evaluator of theirs measures, or the only one of a list."""
    if isinstance(evaluator, list) and len(evaluator) == 1:  # one for each data set
        (evaluator,) = evaluator
    if isinstance(evaluator, dict) and evaluator.get('type') in EVALUATORS:
        evaluator = evaluator.get('metrics') or []
    return evaluator if isinstance(evaluator, list) else [evaluator]


def _score(metric: dict) -> tuple[str, str]:
    """The names of a metric in their log and in ours; MAE without a mask is of all pixels."""
    kind, prefix = metric['type'], metric.get('prefix')
    name = 'l1_image' if kind == 'MAE' and not metric.get('mask_key') else METRICS[kind]
    return f'{prefix}/{kind}' if prefix else kind, name


def _metrics_of_0x(translation: Translation, path: str, key: str, value: list | dict) -> dict:
    for name in value or []:
        expect(path, name, METRICS)
    translation.changed.append(f'{path}: InpaintingMetrics measures all that it has')
    if 'l1' in (value or []):
        translation.differs.append('l1 is in percent of the range: 50 times that of 0.x')
    return {}


def _save_best(translation: Translation, path: str, key: str, value: str | list | None) -> dict:
    """By our metric, of the first that theirs measures under this name, or with 'auto' at all."""
    section, given = translation.theirs, value
    for part in path.split('.')[:-1]:
        section = section[part]
    rule = section.get('rule')
    if isinstance(value, (list, tuple)) and len(value) == 1:
        (value,), rule = value, rule[0] if isinstance(rule, (list, tuple)) else rule
    if value is None:
        return {key: None}
    if not isinstance(value, str):
        raise UserError(f'{path}: expected one metric, by which weights are kept, got {value!r}')
    scores = _scores(translation.theirs.get('val_evaluator'))
    name = next(iter(scores)) if value == 'auto' else value
    if name not in scores:  # with another prefix or none
        name = next((full for full in scores if Path(full).name == Path(name).name), name)
    expect(path, name, scores)
    ours = scores[name]
    if rule not in (None, RULES[ours]):
        raise UserError(
            f'{path.removesuffix(key)}rule={rule!r} has no counterpart in this project: of {ours} '
            f'the best is what is {RULES[ours]}'
        )
    if given != ours:
        translation.changed.append(f'save_best={given!r} is {ours!r}')
    return {key: ours}


def _scores(evaluator: Any) -> dict[str, str]:
    """Our names by those in their log, the first of each; of 0.x, which has no evaluator, all."""
    if evaluator is None:
        return {name: name for name in ('l1', 'psnr', 'ssim')}
    scores = {}
    for metric in _metrics(evaluator):
        if isinstance(metric, dict) and metric.get('type') in METRICS:
            theirs, ours = _score(metric)
            scores.setdefault(theirs, ours)
    return scores


def _optimizers_of_0x(translation: Translation, path: str, key: str, value: dict) -> dict:
    ours = translation.section('optimizers', value, path)
    constructor = dict(constructor='MultiOptimWrapperConstructor')
    return dict(optim_wrapper=constructor | ours)


def _optimizer_of_0x(translation: Translation, path: str, key: str, value: dict) -> dict:
    optimizer = {name: part for name, part in value.items() if name != 'paramwise_cfg'}
    ours = dict(type='OptimWrapper', optimizer=optimizer)
    if paramwise := value.get('paramwise_cfg'):
        if 'bias_decay_mult' in paramwise:  # of 0.x leaves the biases of norms alone
            paramwise = {'norm_decay_mult': 1.0, **paramwise}
        ours['paramwise_cfg'] = paramwise
    return {key: ours}


def _wrapper(translation: Translation, path: str, key: str, value: str) -> dict:
    expect(path, value, ('OptimWrapper', 'AmpOptimWrapper'))
    if value == 'AmpOptimWrapper':
        translation.differs.append(
            'AmpOptimWrapper: networks compute in bfloat16, where theirs of GLInpaintor stay in '
            'float32'
        )
    return {key: value}


def _accumulative_counts(translation: Translation, path: str, key: str, value: int) -> dict:
    if value != 1:
        translation.differs.append(
            f'{path}={value}: so many gradients make a step, where theirs makes one of each'
        )
    return {key: value}


def _lr_config(translation: Translation, path: str, key: str, value: dict | None) -> dict:
    """A policy of 0.x, by its own words."""
    value = dict(policy='Fixed') if value is None else value
    if not isinstance(value, dict):
        raise UserError(f'{path}: expected a dict, got {value!r}')
    names = {name.lower(): name for name in translation.tables('policy ')}
    kind = value.get('policy')
    if str(kind).lower() not in names:
        expect(f'{path}.policy', kind, names.values())
    kind = names[kind.lower()]
    ours = translation.section(f'policy {kind}', value, path)
    if kind == 'Fixed' and not ours.get('warmup'):
        return {}
    total = translation.theirs.get('total_iters', 0)
    if kind in ('Poly', 'Linear', 'CosineAnnealing'):
        ours['max_iters'] = total
    periods = ours.get('periods')
    if kind == 'CosineRestart' and not (is_seq_of(periods, int) and sum(periods) >= total):
        raise UserError(
            f'{path}.periods: expected periods of together at least total_iters={total}, got '
            f'{periods!r}'
        )
    translation.changed.append(f'policy {kind} is PolicyLR')
    return dict(param_scheduler=[dict(type='PolicyLR', policy=kind, by_epoch=False, **ours)])


def _hooks(translation: Translation, path: str, key: str, value: list | None) -> dict:
    ours = []
    for number, hook in enumerate(value or []):
        place = f'{path}[{number}]'
        expect(f'{place}.type', _type(hook), ('EMAHook', *DRAWING))
        if hook['type'] == 'EMAHook':
            ours.append(_average(translation, place, hook))
        else:
            translation.left_out.append(hook['type'])
    return {key: ours} if ours else {}


def _average(translation: Translation, path: str, hook: dict) -> dict:
    if generation(translation.theirs) == 'MMagic 1.x':
        return translation.section('EMAHook', hook, path)
    ours = translation.section('EMAHook of 0.x', hook, path)
    # The first momenta are (1 + iteration) / (warm_up + iteration), where that is less.
    given = {**DEFAULTS['EMAHook of 0.x'], **hook}
    if given['warm_up'] * given['momentum'] > 1:
        raise UserError(
            f'{path}.warm_up={given["warm_up"]} has no counterpart in this project: expected at '
            f'most 1 / momentum, with which it has no effect; momentum is {given["momentum"]}'
        )
    translation.differs.append(
        'EMAHook: the average begins after the first iteration, validation measures it, and '
        'training goes on with the weights'
    )
    return ours


def _momentum(translation: Translation, path: str, key: str, value: float) -> dict:
    if not isinstance(value, (int, float)):
        raise UserError(f'{path}: expected a number, got {value!r}')
    translation.changed.append(f'momentum={value} is decay={1 - value:.12g}')
    return dict(decay=1 - value)


def _save_last(translation: Translation, path: str, key: str, value: bool) -> dict:
    if not value:
        translation.differs.append(f'{key}=False: the last iteration is saved')
    return {}


def _hook(*kinds: str) -> Rule:
    """One of these hooks, all of which ours has or needs not."""

    def rule(translation: Translation, path: str, key: str, value: dict | None) -> dict:
        if value is not None:
            expect(f'{path}.type', _type(value), kinds)
        return {}

    return rule


def _type(part: Any) -> Any:
    return part.get('type') if isinstance(part, dict) else part


def _log_hooks(translation: Translation, path: str, key: str, value: list | None) -> dict:
    backends, every = [], translation.theirs['log_config'].get('interval')
    for number, hook in enumerate(value or []):
        place, kind = f'{path}[{number}]', _type(hook)
        expect(f'{place}.type', kind, (*LOGGERS, *SERVICES))
        arguments = translation.section('log hook', hook, place)
        if hook.get('interval', every) != every:
            translation.differs.append(f'{place}.interval: a line is written every {every}')
        if kind in LOGGERS:
            translation.left_out.extend(f'{place}.{name}' for name in arguments)
        elif SERVICES[kind] is None:
            translation.left_out.append(f'{kind}, for which mmengine has no backend')
        else:
            translation.changed.append(f'{kind} is {SERVICES[kind]}')
            backends.append(dict(type=SERVICES[kind], **arguments))
    return _logging_to(backends) if backends else {}


def _visualizer(translation: Translation, path: str, key: str, value: dict | None) -> dict:
    if value is None:
        return {}
    translation.left_out.append(f'{value.get("type", key)}')
    backends = []
    for number, backend in enumerate(value.get('vis_backends') or []):
        kind = backend.get('type', '')
        if kind in LOCAL_BACKENDS:
            place = f'{path}.vis_backends[{number}]'
            translation.left_out.extend(f'{place}.{name}' for name in backend if name != 'type')
        elif kind.startswith('Pavi'):
            translation.left_out.append(f'{kind}, for which mmengine has no backend')
        else:
            backends.append({**backend, 'type': kind.replace('GenVisBackend', 'VisBackend')})
    return _logging_to(backends)


def _logging_to(backends: list[dict]) -> dict:
    """What logs in the run's folder, as every run does, and to `backends`."""
    ours = [dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]
    return dict(visualizer=dict(type='Visualizer', vis_backends=ours + backends))


def _resume_from(translation: Translation, path: str, key: str, value: str | None) -> dict:
    return {} if value is None else dict(load_from=value, resume=True)


EVERY_RUN = dict(
    model=same(section='model'),
    custom_hooks=_hooks,
    custom_imports=same(),
    log_level=given,
    load_from=given,
    work_dir=given,
    find_unused_parameters=left_out,
)
NETWORK = dict(type=same(), norm_cfg=_norm, act_cfg=same(), init_cfg=nothing(None))
LOADER = dict(
    batch_size=same(),
    num_workers=same(),
    samples_per_gpu=same(name='batch_size'),
    workers_per_gpu=same(name='num_workers'),
    persistent_workers=same(),
    drop_last=same(),
    pin_memory=same(),
    prefetch_factor=same(),
    timeout=same(),
)
LOADER_OF_0X = LOADER | dict(
    shuffle=same(name='sampler.shuffle'), seed=left_out, prefetch_num=left_out
)
DATASET = dict(data_root=same(), ann_file=same(), pipeline=_pipeline, test_mode=nothing())
MASK = dict(img_shape=nothing(), dtype=nothing())
HOOK = dict(by_epoch=nothing(False), out_dir=left_out, type=nothing())
POLICY = dict(
    policy=nothing(),
    by_epoch=nothing(False),
    warmup=given,
    warmup_iters=same(),
    warmup_ratio=same(),
    warmup_by_epoch=nothing(False),
)
COSINE = dict(min_lr=given, min_lr_ratio=given)
METRIC = dict(
    type=nothing(),
    gt_key=nothing('gt_img'),
    pred_key=nothing('pred_img', 'fake_img'),
    prefix=nothing(),
    collect_device=left_out,
)
OF_PICTURES = dict(crop_border=nothing(0), convert_to=nothing(None), input_order=nothing('CHW'))
EMA = dict(type=same(), momentum=_momentum, interval=nothing(1), priority=same())

SECTIONS: dict[str, dict[str, Rule]] = {
    'MMagic 1.x': EVERY_RUN
    | dict(
        default_scope=nothing(),
        experiment_name=left_out,
        save_dir=left_out,
        model_wrapper_cfg=left_out,
        auto_scale_lr=_auto_scale_lr,
        train_dataloader=_loader,
        val_dataloader=_loader,
        test_dataloader=_loader,
        optim_wrapper=same(section='optim_wrapper'),
        param_scheduler=same(),
        train_cfg=same(section='train loop'),
        val_cfg=same(section='val loop'),
        test_cfg=same(section='test loop'),
        val_evaluator=_evaluator,
        test_evaluator=_evaluator,
        default_hooks=same(section='default_hooks'),
        visualizer=_visualizer,
        vis_backends=nothing(),
        log_processor=same(section='log_processor'),
        env_cfg=same(),
        randomness=same(),
        launcher=same(),
        resume=same(),
    ),
    'MMEditing 0.x': EVERY_RUN
    | dict(
        model=_model_of_0x,
        train_cfg=within('model', _phases),
        test_cfg=spread('test_cfg of 0.x'),
        data=_data_of_0x,
        optimizers=_optimizers_of_0x,
        lr_config=_lr_config,
        total_iters=_total_iters,
        evaluation=spread('evaluation'),
        checkpoint_config=same(name='default_hooks.checkpoint', section='checkpoint'),
        log_config=spread('log_config'),
        visual_config=left_out,
        resume_from=_resume_from,
        workflow=left_out,
        exp_name=left_out,
        dist_params=same(name='env_cfg.dist_cfg'),
        cudnn_benchmark=same(name='env_cfg.cudnn_benchmark'),
        mp_start_method=same(name='env_cfg.mp_cfg.mp_start_method'),
        opencv_num_threads=same(name='env_cfg.mp_cfg.opencv_num_threads'),
    ),
    # the model
    'model': dict(
        type=same('GLInpaintor'),
        data_preprocessor=_preprocessor,
        encdec=same(section='encdec'),
        disc=same(section='disc'),
        loss_l1_hole=same(section='pixel loss'),
        loss_l1_valid=same(section='pixel loss'),
        loss_gan=same(section='loss_gan'),
        # Their GLInpaintor builds these, and does not compute them.
        loss_composed_percep=left_out,
        loss_gp=left_out,
        loss_out_percep=_if_true,
        loss_tv=left_out,
        pretrained=refused('weights are given by load_from'),
        train_cfg=_phases,
        test_cfg=spread('test_cfg of 0.x'),
    ),
    'data_preprocessor': dict(
        type=becomes('GLPreprocessor', *PREPROCESSORS),
        mean=nothing(127.5, [127.5], [127.5] * 3),
        std=nothing(127.5, [127.5], [127.5] * 3),
        output_channel_order=nothing(None, 'BGR'),
        bgr_to_rgb=nothing(False),
        rgb_to_bgr=nothing(False),
        pad_size_divisor=nothing(1),
        pad_value=nothing(),
        pad_mode=nothing(),
        data_keys=nothing('gt_img', ['gt_img']),
        stack_data_sample=nothing(True),
    ),
    'encdec': dict(
        type=same('GLEncoderDecoder'),
        encoder=same(section='encoder'),
        dilation_neck=same(section='dilation_neck'),
        decoder=same(section='decoder'),
    ),
    'encoder': NETWORK | dict(type=same('GLEncoder')),
    'dilation_neck': NETWORK
    | dict(type=same('GLDilationNeck'), in_channels=nothing(256), conv_type=nothing('conv')),
    'decoder': NETWORK
    | dict(type=same('GLDecoder'), in_channels=nothing(256), out_act=same('clip')),
    'disc': dict(
        type=same('GLDiscs'),
        global_disc_cfg=same(section='discriminator'),
        local_disc_cfg=same(section='discriminator'),
        init_cfg=nothing(None),
    ),
    'discriminator': NETWORK
    | dict(
        type=nothing('MultiLayerDiscriminator'),
        in_channels=same(),
        max_channels=same(),
        num_convs=same(),
        fc_in_channels=same(),
        fc_out_channels=same(),
        kernel_size=same(),
        out_act_cfg=same(),
        with_input_norm=nothing(True),
        with_out_convs=nothing(False),
        with_spectral_norm=nothing(False),
    ),
    'pixel loss': dict(
        type=same('L1Loss', 'MSELoss'),
        loss_weight=same(),
        reduction=nothing('mean'),
        sample_wise=nothing(False),
    ),
    'loss_gan': dict(
        type=same('GANLoss'),
        gan_type=same(),
        loss_weight=same(),
        real_label_val=same(),
        fake_label_val=same(),
    ),
    'phases': dict(
        disc_step=same(),
        iter_tc=nothing(),
        iter_td=nothing(),
        start_iter=nothing(),
        local_size=same(),
    ),
    # its pictures
    'loader': LOADER
    | dict(
        sampler=same(section='sampler'), collate_fn=nothing(None, *COLLATIONS), dataset=_dataset
    ),
    'loader of 0.x': LOADER_OF_0X,
    'data': LOADER_OF_0X
    | dict(
        val_samples_per_gpu=same(name='evaluated.batch_size'),
        val_workers_per_gpu=same(name='evaluated.num_workers'),
    )
    | {
        f'{mode}{part}': nothing()
        for mode in ('train', 'val', 'test')
        for part in ('', '_dataloader')
    },
    'sampler': dict(
        type=nothing('InfiniteSampler', 'DefaultSampler'),
        shuffle=nothing(),
        round_up=left_out,
        seed=left_out,
    ),
    'dataset': DATASET
    | dict(
        type=becomes('ImageDataset', 'BasicImageDataset'),
        data_prefix=same(section='data_prefix'),
        metainfo=nothing(),
        search_key=nothing(None, *PICTURE),
        filename_tmpl=nothing({}, dict(gt='{}'), dict(gt='{}', mask='{}')),
        recursive=nothing(),
        serialize_data=left_out,
        backend_args=nothing(None, dict(backend='local'), dict(backend='disk')),
    ),
    'ConcatDataset': dict(
        type=same(), datasets=_datasets, lazy_init=left_out, ignore_keys=left_out
    ),
    'RepeatDataset': dict(type=same(), dataset=_dataset, times=same(), lazy_init=left_out),
    'data_prefix': dict(gt=same(), img=same(), mask=same()),
    'dataset of 0.x': DATASET
    | dict(
        type=becomes('ImageDataset', 'ImgInpaintingDataset'),
        data_prefix=_prefix_of_0x,
    ),
    'step LoadImageFromFile': dict(
        type=same(),
        key=nothing(*PICTURE),
        color_type=nothing('color'),
        flag=nothing('color'),
        channel_order=nothing('bgr'),
        to_float32=_to_float32,
        to_y_channel=nothing(False),
        save_original_img=_if_true,
        use_cache=_if_true,
        imdecode_backend=nothing(None, 'cv2'),
        backend=nothing(None, 'cv2'),
        io_backend=nothing('disk', 'local'),
        backend_args=nothing(None, dict(backend='local'), dict(backend='disk')),
    ),
    'step Crop': dict(
        random_crop=_crop,
        keys=nothing(*PICTURE),
        crop_size=same(),
        is_pad_zeros=nothing(False),
    ),
    'step Resize': dict(
        type=same(),
        keys=nothing(*PICTURE),
        scale=same(),
        keep_ratio=_keep_ratio,
        interpolation=same(),
        backend=nothing(None, 'cv2'),
        output_keys=nothing(None, *PICTURE),
    ),
    'step Flip': dict(type=same(), keys=nothing(*PICTURE), flip_ratio=same(), direction=same()),
    'step Normalize': dict(
        keys=nothing(*PICTURE),
        mean=nothing(127.5, [127.5], [127.5] * 3),
        std=nothing(127.5, [127.5], [127.5] * 3),
        to_rgb=nothing(False),
        save_original=nothing(),
    ),
    'step GetMaskedImage': dict(
        img_key=nothing(*PICTURE),
        img_name=nothing(*PICTURE),
        mask_key=nothing('mask'),
        mask_name=nothing('mask'),
        out_key=nothing(),
        zero_value=nothing(127.5),
    ),
    'mask bbox': MASK | dict(max_bbox_shape=same(), max_bbox_delta=same(), min_margin=same()),
    'mask irregular': MASK
    | dict(
        num_vertices=same(),
        max_angle=same(),
        length_range=same(),
        brush_width=same(),
        area_ratio_range=same(),
    ),
    'mask ff': MASK
    | dict(
        num_vertices=same(),
        mean_angle=same(),
        angle_range=same(),
        brush_width=same(),
        max_loops=same(),
    ),
    'mask set': MASK
    | dict(
        mask_list_file=same(),
        prefix=same(),
        io_backend=nothing('disk', 'local'),
        color_type=nothing(),
        flag=nothing(),
        file_client_kwargs=nothing(None, {}, dict(backend='local'), dict(backend='disk')),
    ),
    'mask file': MASK | dict(io_backend=nothing('disk', 'local'), color_type=nothing()),
    # its optimizers
    'optim_wrapper': dict(
        constructor=same('MultiOptimWrapperConstructor'),
        generator=same(section='wrapper'),
        disc=same(section='wrapper'),
    ),
    'wrapper': dict(
        type=_wrapper,
        optimizer=same(),
        paramwise_cfg=same(),
        accumulative_counts=_accumulative_counts,
        clip_grad=same(),
        loss_scale=left_out,
        dtype=left_out,
    ),
    'optimizers': dict(generator=_optimizer_of_0x, disc=_optimizer_of_0x),
    'policy Fixed': POLICY,
    'policy Step': POLICY | dict(step=same(), gamma=same(), min_lr=given),
    'policy Exp': POLICY | dict(gamma=same()),
    'policy Inv': POLICY | dict(gamma=same(), power=same()),
    'policy Poly': POLICY | dict(power=same(), min_lr=same()),
    'policy Linear': POLICY | dict(target_lr=same(), start=same(), interval=same()),
    'policy CosineAnnealing': POLICY | COSINE,
    'policy CosineRestart': POLICY | COSINE | dict(periods=same(), restart_weights=same()),
    # the run
    'train loop': dict(
        type=becomes('TrainLoop', 'IterBasedTrainLoop'),
        by_epoch=nothing(False),
        max_iters=same(),
        val_interval=same(),
        val_begin=nothing(1),
    ),
    'val loop': dict(
        type=becomes('ValLoop', 'MultiValLoop', 'EditValLoop', 'GenValLoop'), fp16=nothing(False)
    ),
    'test loop': dict(
        type=becomes('TestLoop', 'MultiTestLoop', 'EditTestLoop', 'GenTestLoop'),
        fp16=nothing(False),
    ),
    'log_processor': dict(
        type=becomes('LogProcessor', 'EditLogProcessor', 'GenLogProcessor'),
        by_epoch=nothing(False),
        window_size=same(),
        custom_cfg=same(),
        num_digits=same(),
        log_with_hierarchy=same(),
        mean_pattern=same(),
    ),
    'metric MAE': METRIC | dict(mask_key=nothing(None, 'mask'), scaling=nothing(), device=left_out),
    'metric PSNR': METRIC | OF_PICTURES,
    'metric SSIM': METRIC | OF_PICTURES,
    'test_cfg of 0.x': dict(metrics=_metrics_of_0x),
    'evaluation': dict(
        interval=nothing(),
        save_best=within('default_hooks', within('checkpoint', _save_best)),
        rule=nothing(),  # beside save_best
        by_epoch=nothing(False),
        save_image=left_out,
        gpu_collect=left_out,
        metric_dict=_metrics_of_0x,
        metric_options=nothing(None, {}),
    ),
    'default_hooks': dict(
        timer=_hook(*TIMERS),
        runtime_info=_hook('RuntimeInfoHook'),
        param_scheduler=_hook('ParamSchedulerHook'),
        sampler_seed=_hook('DistSamplerSeedHook'),
        visualization=_hook(*DRAWING),
        logger=same(section='logger'),
        checkpoint=same(section='checkpoint'),
    ),
    'EMAHook': EMA
    | dict(
        ema_type=nothing('ExponentialMovingAverage'),
        begin_iter=nothing(0),
        begin_epoch=nothing(0),
        update_buffers=nothing(False),
        strict_load=left_out,
    ),
    'EMAHook of 0.x': EMA | dict(warm_up=nothing(), resume_from=nothing(None)),
    'logger': HOOK
    | dict(
        interval=same(), ignore_last=nothing(), log_metric_by_epoch=nothing(), keep_local=nothing()
    ),
    'log_config': dict(
        interval=same(name='default_hooks.logger.interval'),
        hooks=_log_hooks,
    ),
    'log hook': HOOK
    | dict(
        interval=nothing(),
        ignore_last=nothing(),
        reset_flag=nothing(),
        with_step=nothing(True),
        init_kwargs=same(),
        commit=same(),
        define_metric_cfg=same(),
        exp_name=same(),
        tags=same(),
        params=same(),
        log_dir=left_out,
        log_model=left_out,
        log_artifact=left_out,
        model_file=left_out,
        out_suffix=left_out,
        interval_exp_name=left_out,
        keep_local=left_out,
    ),
    'checkpoint': HOOK
    | dict(
        interval=same(),
        max_keep_ckpts=same(),
        save_best=_save_best,
        rule=nothing(),  # beside save_best
        save_last=_save_last,
        save_optimizer=nothing(True),
        save_param_scheduler=nothing(True),
    ),
}
# Where theirs has another value than ours if none is given.
DEFAULTS = {
    'model': dict(data_preprocessor=dict(type='GLPreprocessor')),
    'encoder': dict(norm_cfg=None),
    'dilation_neck': dict(norm_cfg=None),
    'decoder': dict(norm_cfg=None),
    'discriminator': dict(norm_cfg=None, num_convs=5),
    'dataset of 0.x': dict(data_root='', data_prefix=''),
    'step LoadImageFromFile': dict(type='LoadImageFromFile'),
    'step Crop': dict(random_crop=True),
    'step Resize': dict(type='Resize'),
    'step Flip': dict(type='Flip'),
    'mask bbox': dict(max_bbox_delta=40, min_margin=20),
    'EMAHook': dict(momentum=0.0002),
    'EMAHook of 0.x': dict(momentum=0.0002, warm_up=100),
    'train loop': dict(type='IterBasedTrainLoop', val_interval=1000),
    'logger': dict(interval=10),
    'checkpoint': dict(interval=-1, max_keep_ckpts=-1),
}
