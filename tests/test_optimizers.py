import pytest
import torch
from conftest import set_iteration
from mmengine.optim import OptimWrapper
from test_inpaintor import build_small, optimizers, small_batch, trajectory

from mmedit_gl.engine import AmpOptimWrapper, MultiOptimWrapperConstructor
from mmedit_gl.errors import UserError


def wrapper_cfg(lr: float, **options) -> dict:
    return dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=lr), **options)


def test_each_network_has_a_wrapper_with_its_own_learning_rate():
    model = build_small()
    build = MultiOptimWrapperConstructor(dict(generator=wrapper_cfg(1e-3), disc=wrapper_cfg(2e-4)))
    wrappers = build(model)
    assert list(wrappers.keys()) == ['generator', 'disc']
    for name, lr in [('generator', 1e-3), ('disc', 2e-4)]:
        (group,) = wrappers[name].optimizer.param_groups
        assert group['lr'] == lr
        assert list(map(id, group['params'])) == list(map(id, getattr(model, name).parameters()))
    assert wrappers.get_lr() == {'generator.lr': [1e-3], 'disc.lr': [2e-4]}


def test_options_of_a_wrapper_have_an_effect():
    generator = wrapper_cfg(1e-3, clip_grad=dict(max_norm=1.0))
    disc = wrapper_cfg(1e-3, paramwise_cfg=dict(bias_lr_mult=2.0))
    build = MultiOptimWrapperConstructor(dict(generator=generator, disc=disc))
    wrappers = build(build_small())
    assert wrappers['generator'].clip_grad_kwargs == dict(max_norm=1.0)
    assert wrappers['disc'].clip_grad_kwargs is None
    rates = {group['lr'] for group in wrappers['disc'].optimizer.param_groups}
    assert rates == {1e-3, 2e-3}
    assert len(wrappers['generator'].optimizer.param_groups) == 1


def test_what_is_about_the_parameters_of_a_network_stands_at_its_optimizer():
    with pytest.raises(UserError, match=r'^paramwise_cfg: expected in generator or disc'):
        MultiOptimWrapperConstructor(dict(), dict(bias_lr_mult=2.0))


def test_none_leaves_a_network_out():
    model = build_small(disc=None, loss_gan=None)
    wrappers = MultiOptimWrapperConstructor(dict(generator=wrapper_cfg(1e-3), disc=None))(model)
    assert list(wrappers.keys()) == ['generator']


@pytest.mark.parametrize(
    ('name', 'options'), [('discs', {}), ('disc', dict(disc=None, loss_gan=None))]
)
def test_a_network_that_the_model_does_not_have_is_refused(name, options):
    build = MultiOptimWrapperConstructor({'generator': wrapper_cfg(1e-3), name: wrapper_cfg(1e-3)})
    with pytest.raises(UserError, match=f"optim_wrapper names '{name}'.*optim_wrapper.{name}=None"):
        build(build_small(**options))


def test_amp_trains_on_cpu():
    exact = trajectory(model := build_small(), small_batch(), optimizers(model, OptimWrapper))
    model, dtypes = build_small(), {}
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.register_forward_hook(
                lambda _, inputs, output, name=name: dtypes.update({name: output.dtype})
            )
    before = {name: value.clone() for name, value in model.state_dict().items()}
    losses = trajectory(model, small_batch(), optimizers(model, AmpOptimWrapper))
    assert len(dtypes) > 20
    assert set(dtypes.values()) == {torch.bfloat16}
    for name, value in model.named_parameters():
        assert value.dtype == torch.float32
        assert value.grad is None or value.grad.dtype == torch.float32
        assert not torch.equal(value, before[name]), name
    for step, expected in zip(losses, exact):
        assert step == pytest.approx(expected, rel=0.05)
        assert step != expected


def test_evaluation_stays_in_full_precision_after_amp_steps():
    model = build_small()
    set_iteration(0)
    model.train().train_step(small_batch(), optimizers(model, AmpOptimWrapper))
    batch = model.eval().data_preprocessor(small_batch())
    with torch.no_grad():
        assert model(**batch).dtype == torch.float32
