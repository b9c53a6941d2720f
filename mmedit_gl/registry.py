"""Child registries of mmengine's; a name is looked up here first, then there."""

from mmengine import registry as mmengine

SCOPE = 'mmedit_gl'


def _child(parent: mmengine.Registry, room: str | None = None) -> mmengine.Registry:
    locations = [f'{SCOPE}.{room}'] if room else []
    return mmengine.Registry(parent.name, parent=parent, scope=SCOPE, locations=locations)


DATASETS = _child(mmengine.DATASETS, 'datasets')
DATA_SAMPLERS = _child(mmengine.DATA_SAMPLERS, 'datasets')
TRANSFORMS = _child(mmengine.TRANSFORMS, 'datasets')
MODELS = _child(mmengine.MODELS, 'models')
OPTIM_WRAPPERS = _child(mmengine.OPTIM_WRAPPERS, 'engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child(mmengine.OPTIM_WRAPPER_CONSTRUCTORS, 'engine')
PARAM_SCHEDULERS = _child(mmengine.PARAM_SCHEDULERS, 'engine')
LOOPS = _child(mmengine.LOOPS, 'engine')
HOOKS = _child(mmengine.HOOKS, 'engine')
VISBACKENDS = _child(mmengine.VISBACKENDS, 'engine')
METRICS = _child(mmengine.METRICS, 'evaluation')

# mmengine builds these by the same scope; the project adds nothing to them.
EVALUATORS = _child(mmengine.EVALUATOR)
LOG_PROCESSORS = _child(mmengine.LOG_PROCESSORS)
OPTIMIZERS = _child(mmengine.OPTIMIZERS)
VISUALIZERS = _child(mmengine.VISUALIZERS)
