# What every run shares.
default_scope = 'mmedit_gl'  # registries in which names are looked up first

default_hooks = dict(
    runtime_info=dict(type='RuntimeInfoHook'),  # iteration, learning rates and losses for the log
    timer=dict(type='IterTimerHook'),  # time a step, ETA
    phase=dict(type='PhaseHook'),  # says which of the three phases begins
    skipped_images=dict(type='SkippedImagesHook'),  # unreadable pictures: named, counted
    logger=dict(type='LoggerHook', interval=100),  # a line every `interval` iterations
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(  # the newest three, and the best validation's
        type='CheckpointHook', interval=10_000, max_keep_ckpts=3, save_best='psnr'
    ),
    train_samples=dict(type='TrainSamplesHook', interval=5_000),  # original | masked | completed
    completions=dict(type='CompletionsHook', max_images=16),  # the same, of validation pictures
    metrics=dict(type='MetricsHook'),  # metrics.json of the last validation
)
# The generator's moving average, measured and saved:
# custom_hooks = [dict(type='EMAHook', decay=0.999)]
log_processor = dict(by_epoch=False)
visualizer = dict(
    type='Visualizer',
    vis_backends=[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')],
)
env_cfg = dict(
    cudnn_benchmark=True,  # all training pictures have one size
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
sync_bn = 'torch'  # batch statistics of all processes, where they have GPUs
compile = False  # networks through torch.compile: minutes at the start, fewer for each step
randomness = dict(seed=0)  # weights, order of the pictures, crops and holes; evaluation's too

log_level = 'INFO'
load_from = None  # checkpoint whose weights a new run starts from
resume = False  # go on where the checkpoint's run was
