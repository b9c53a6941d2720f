# Networks, losses and optimizers as the paper has them.
_base_ = './gl.py'

model = dict(
    encdec=dict(decoder=dict(out_act='sigmoid')),
    loss_l1_hole=dict(type='MSELoss'),
    loss_gan=dict(loss_weight=0.0004),
)
_adadelta = dict(_delete_=True, type='Adadelta')
optim_wrapper = dict(generator=dict(optimizer=_adadelta), disc=dict(optimizer=_adadelta))
