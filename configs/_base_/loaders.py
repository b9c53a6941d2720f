# What the loaders of all data sets share; a data set adds its pictures, their pipelines and the
# processes that load them.
train_dataloader = dict(
    persistent_workers=True,
    drop_last=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DrawSampler'),
)
val_dataloader = dict(
    batch_size=8,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='EvaluationSampler'),
    dataset=dict(test_mode=True),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='InpaintingMetrics')
test_evaluator = val_evaluator
