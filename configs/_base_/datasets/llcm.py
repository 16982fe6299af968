# LLCM, raw folders; see docs/en/datasets.md for the layout.
data_root = 'data/LLCM'
num_ids = 713

train_dataloader = dict(
    batch_size=64,
    num_workers=4,
    worker_init_fn=dict(type='mmvireid.seed_worker'),
    dataset=dict(type='LLCM', data_root=data_root, split='train'),
    sampler=dict(
        type='CrossModalityPKSampler', num_ids=8, num_visible=4, num_infrared=4))

test_dataloader = dict(
    batch_size=128,
    num_workers=4,
    dataset=dict(type='LLCM', data_root=data_root, split='test'),
    sampler=dict(type='DefaultSampler', shuffle=False))
val_dataloader = test_dataloader

test_evaluator = dict(type='LLCMMetric', settings=['v2i', 'i2v'], num_trials=10)
val_evaluator = test_evaluator

# What tools/run_trials.py sets to the number of the trial.
trial_keys = ['randomness.seed']
