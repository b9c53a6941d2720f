# 500,000 iterations; a leaf config says where the phases change.
train_cfg = dict(type='TrainLoop', max_iters=500_000, val_interval=50_000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
