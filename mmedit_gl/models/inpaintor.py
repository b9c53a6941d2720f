"""The model: generator, discriminators and the three phases that train them."""

import copy
from enum import Enum

import torch
from mmengine.logging import MessageHub
from mmengine.model import BaseModel, revert_sync_batchnorm
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)

from mmedit_gl.datasets import pair
from mmedit_gl.errors import UserError, check_count
from mmedit_gl.models.hole_aware import HoleAware
from mmedit_gl.models.local_window import crop, local_windows
from mmedit_gl.models.preprocessor import to_uint8
from mmedit_gl.registry import MODELS


class Phase(Enum):
    """What an iteration trains (Iizuka et al. 2017, algorithm 1)."""

    GENERATOR = 'generator'
    DISCRIMINATOR = 'discriminator'
    JOINT = 'joint'


@MODELS.register_module()
class GLInpaintor(BaseModel):
    """Globally and locally consistent image completion.

    `train_cfg` has `iter_tc` and `iter_td`: iterations [0, iter_tc) train the generator,
    [iter_tc, iter_td) the discriminators, all later ones both; and `local_size`, an int or (height,
    width) of the local discriminator's window in pixels. In the last phase only every `disc_step`th
    step of the discriminators is followed by one of the generator; they are counted from `iter_tc`.
    Without `disc` only the first phase can be trained; `loss_l1_valid`, of `fake_res` around the
    hole, and `loss_mean_colour` are optional. `trained_hole` is the width in pixels of the widest
    holes that it is trained on, None for any: tools complete wider ones at a reduced scale. Raises
    `UserError` where these do not fit together.
    """

    def __init__(
        self,
        data_preprocessor: dict,
        encdec: dict,
        disc: dict | None = None,
        loss_l1_hole: dict | None = None,
        loss_l1_valid: dict | None = None,
        loss_mean_colour: dict | None = None,
        loss_gan: dict | None = None,
        train_cfg: dict | None = None,
        trained_hole: int | None = None,
    ):
        super().__init__(MODELS.build(data_preprocessor))
        if trained_hole is not None:
            check_count('trained_hole', trained_hole)
        self.trained_hole = trained_hole
        self.generator = MODELS.build(encdec)
        self.disc = disc and MODELS.build(disc)
        self.loss_l1_hole = loss_l1_hole and MODELS.build(loss_l1_hole)
        self.loss_l1_valid = loss_l1_valid and MODELS.build(loss_l1_valid)
        self.loss_mean_colour = loss_mean_colour and MODELS.build(loss_mean_colour)
        self.loss_gan = loss_gan and MODELS.build(loss_gan)
        # What the training steps call: the networks, or what wraps them in a distributed run. A
        # dict, so that a wrapper's name does not come between a checkpoint and its parameters.
        self.parallel = dict(generator=self.generator, disc=self.disc)
        if disc and not loss_gan:
            raise UserError('GLInpaintor: a discriminator (disc) needs loss_gan too')
        if train_cfg and not loss_l1_hole:
            raise UserError('GLInpaintor: to be trained (train_cfg) it needs loss_l1_hole')
        if train_cfg:
            self._set_train_cfg(**train_cfg)

    def _set_train_cfg(
        self,
        iter_tc: int,
        iter_td: int,
        local_size: int | tuple[int, int],
        disc_step: int = 1,
    ) -> None:
        check_count('model.train_cfg.disc_step', disc_step)
        check_count('model.train_cfg.iter_tc', iter_tc, least=0)
        check_count('model.train_cfg.iter_td', iter_td, least=0)
        if iter_td < iter_tc:
            raise UserError(
                f'model.train_cfg: expected iter_tc <= iter_td, got iter_tc={iter_tc} and '
                f'iter_td={iter_td}'
            )
        self.iter_tc, self.iter_td, self.disc_step = iter_tc, iter_td, disc_step
        self.local_size = pair('model.train_cfg.local_size', local_size, 1)

    @property
    def trained_with(self) -> dict[str, str | bool]:
        """What the weights were trained with and do not show: how a hole begins, how it ends."""
        preprocessor, decoder = self.data_preprocessor, self.generator.decoder
        colour = (preprocessor.hole_colour * 127.5 + 127.5).flatten().tolist()
        is_filled = preprocessor.hole_fill != 'colour'
        return dict(
            hole_fill=preprocessor.hole_fill,
            hole_colour='any' if is_filled else ', '.join(f'{value:.2f}' for value in colour),
            residual=self.generator.residual,
            out_act=type(decoder.out_act).__name__,
        )

    @property
    def phase(self) -> Phase:
        """The phase of the run's current iteration."""
        if self._iteration < self.iter_tc:
            return Phase.GENERATOR
        return Phase.DISCRIMINATOR if self._iteration < self.iter_td else Phase.JOINT

    @property
    def _iteration(self) -> int:
        return MessageHub.get_current_instance().get_info('iter')

    def train_step(self, data: dict, optim_wrapper: OptimWrapperDict) -> dict[str, Tensor]:
        """One iteration of the current phase; gives its losses by name.

        `data` is a batch as `GLPreprocessor` takes it. Raises `UserError` for a hole that does not
        fit the local window, in the generator's phase too, rather than days into the run.
        """
        batch = self.data_preprocessor(data, training=True)
        if self.disc is not None:
            self._add_windows(batch)
        disc_steps = self._iteration - self.iter_tc + 1  # this one included
        if self.phase is Phase.GENERATOR:
            losses = self._generator_step(batch, optim_wrapper)
        elif self.phase is Phase.DISCRIMINATOR or disc_steps % self.disc_step:
            losses = self._discriminator_step(batch, optim_wrapper)
        else:
            losses = self._joint_step(batch, optim_wrapper)
        return {name: loss.detach() for name, loss in losses.items()}

    def rehearse(self, data: dict) -> None:
        """Takes the shapes of a batch through the networks and the losses of all phases.

        No value is computed. `data` is that of `train_step`. Raises `UserError` for shapes that do
        not fit, and without `train_cfg`.
        """
        if not hasattr(self, 'local_size'):
            raise UserError('train_cfg: expected iter_tc, iter_td and local_size to train by')
        batch = self.data_preprocessor(data, training=True)
        if self.disc is not None:
            self._add_windows(batch)
        batch |= {name: batch[name].to('meta') for name in ('gt_img', 'mask', 'masked_img')}
        fake_res = _shapes(self.generator, batch['masked_img'], batch['mask'])
        self._pixel_losses(batch, fake_res)
        if self.disc is not None:
            fake_img = composite(batch, fake_res)
            logit = _shapes(self.disc, fake_img, crop(fake_img, batch['windows']))
            for is_real, is_disc in [(False, True), (True, True), (True, False)]:
                self.loss_gan(logit, is_real, is_disc=is_disc, mask=batch['mask'])

    def _add_windows(self, batch: dict) -> None:
        """`windows` and `real_windows`, which the local discriminator sees of a picture."""

        def windows(bbox: str, position: str) -> Tensor:
            image_size = batch['gt_img'].shape[-2:]
            return local_windows(batch[bbox], image_size, self.local_size, batch.get(position))

        batch['windows'] = batch['real_windows'] = windows('mask_bbox', 'window_position')
        if 'real_bbox' in batch:
            batch['real_windows'] = windows('real_bbox', 'real_window_position')

    def _generator_step(self, batch: dict, optim_wrapper: OptimWrapperDict) -> dict[str, Tensor]:
        fake_res = self._complete(batch, optim_wrapper)
        losses = self._pixel_losses(batch, fake_res)
        optim_wrapper['generator'].update_params(sum(losses.values()))
        return losses

    def _discriminator_step(
        self, batch: dict, optim_wrapper: OptimWrapperDict
    ) -> dict[str, Tensor]:
        with torch.no_grad():
            fake_img = composite(batch, self._complete(batch, optim_wrapper))
        return self._update_disc(batch, fake_img, optim_wrapper)

    def _joint_step(self, batch: dict, optim_wrapper: OptimWrapperDict) -> dict[str, Tensor]:
        fake_res = self._complete(batch, optim_wrapper)
        fake_img = composite(batch, fake_res)
        disc_losses = self._update_disc(batch, fake_img.detach(), optim_wrapper)

        self.disc.requires_grad_(False)
        logit = self._judge(self.disc, fake_img, batch['windows'], optim_wrapper['generator'])
        losses = self._pixel_losses(batch, fake_res)
        losses['loss_g_fake'] = self.loss_gan(logit, target_is_real=True, mask=batch['mask'])
        optim_wrapper['generator'].update_params(sum(losses.values()))
        self.disc.requires_grad_(True)
        return {**disc_losses, **losses}

    def _complete(self, batch: dict, optim_wrapper: OptimWrapperDict) -> Tensor:
        """`fake_res`, `(N, 3, H, W)` in [-1, 1], of the pictures' type in mixed precision too."""
        generator = self.parallel['generator']
        with optim_wrapper['generator'].optim_context(generator):
            return generator(batch['masked_img'], batch['mask']).to(batch['gt_img'].dtype)

    def _pixel_losses(self, batch: dict, fake_res: Tensor) -> dict[str, Tensor]:
        mask = batch['mask']
        losses = dict(
            loss_l1_hole=(self.loss_l1_hole, mask),
            loss_l1_valid=(self.loss_l1_valid, 1 - mask),
            loss_mean_colour=(self.loss_mean_colour, mask),
        )
        return {
            name: loss(fake_res, batch['gt_img'], where)
            for name, (loss, where) in losses.items()
            if loss is not None
        }

    def _judge(
        self, disc: nn.Module, img: Tensor, windows: Tensor, wrapper: OptimWrapper
    ) -> Tensor:
        """Logits `(N, 1)` of whole pictures and their windows."""
        with wrapper.optim_context(disc):
            return disc(img, crop(img, windows)).to(img.dtype)

    def _update_disc(
        self, batch: dict, fake_img: Tensor, optim_wrapper: OptimWrapperDict
    ) -> dict[str, Tensor]:
        """One step of the discriminators.

        Fake and real pictures go through them separately: their batch statistics differ.
        """
        disc, wrapper, losses = self.parallel['disc'], optim_wrapper['disc'], {}
        for name, img, windows, is_real in [
            ('fake_loss', fake_img, batch['windows'], False),
            ('real_loss', batch['gt_img'], batch['real_windows'], True),
        ]:
            logit = self._judge(disc, img, windows, wrapper)
            losses[name] = self.loss_gan(logit, is_real, is_disc=True, mask=batch['mask'])
        wrapper.update_params(sum(losses.values()))
        return losses

    def forward(self, mode: str = 'tensor', **batch) -> Tensor | list[dict]:
        """Complete a batch as `GLPreprocessor` gives it.

        `mode='tensor'` gives `fake_res`, `(N, 3, H, W)` in [-1, 1]. `mode='predict'` gives a dict
        for each picture: `gt_img` and `fake_img`, uint8 BGR `(3, H, W)`, `mask`, uint8
        `(1, H, W)`, and `img_path`. Outside the hole `fake_img` is `gt_img`, bit for bit.
        """
        if mode == 'tensor':
            return self.generator(batch['masked_img'], batch['mask'])
        fake_res = HoleAware(self.generator).fill(batch['masked_img'], batch['mask'])
        gt_img = to_uint8(batch['gt_img'])
        fake_img = to_uint8(composite(batch, fake_res))
        mask = batch['mask'].to(torch.uint8)
        names = ('gt_img', 'fake_img', 'mask', 'img_path')
        return [
            dict(zip(names, values)) for values in zip(gt_img, fake_img, mask, batch['img_path'])
        ]


def _shapes(network: nn.Module, *inputs: Tensor) -> Tensor:
    """What a network gives, on torch's meta device: a shape without values.

    Raises `UserError` that names the layer which does not take what comes to it.
    """
    # torch's synchronised batch norm takes tensors of GPUs only.
    network = revert_sync_batchnorm(copy.deepcopy(network)).to('meta')
    names = {layer: name for name, layer in network.named_modules()}
    running = []

    def leave(*_) -> None:
        running.pop()

    hooks = [
        register_module_forward_pre_hook(lambda layer, _: running.append(layer)),
        register_module_forward_hook(leave),
    ]
    try:
        return network(*inputs)
    except UserError:
        raise
    except Exception as error:
        layer = running[-1]
        raise UserError(f'{names[layer]}, {layer}, does not take what it gets ({error})') from error
    finally:
        for hook in hooks:
            hook.remove()


def composite(batch: dict, fake_res: Tensor) -> Tensor:
    """`fake_img`: the completion in the hole, the picture around it."""
    return batch['gt_img'] * (1 - batch['mask']) + fake_res * batch['mask']
