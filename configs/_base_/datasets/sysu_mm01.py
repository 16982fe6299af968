# SYSU-MM01, raw folders; see docs/en/datasets.md for the layout.
data_root = 'data/SYSU-MM01'
num_ids = 395

train_dataloader = dict(
    batch_size=64,
    num_workers=4,
    worker_init_fn=dict(type='mmvireid.seed_worker'),
    dataset=dict(type='SYSUMM01', data_root=data_root, split='trainval'),
    sampler=dict(
        type='CrossModalityPKSampler', num_ids=8, num_visible=4, num_infrared=4))

test_dataloader = dict(
    batch_size=128,
    num_workers=4,
    dataset=dict(
        type='SYSUMM01', data_root=data_root, split='test'),
    sampler=dict(type='DefaultSampler', shuffle=False))
val_dataloader = test_dataloader

test_evaluator = dict(
    type='SYSUMetric',
    settings=['all_single', 'all_multi', 'indoor_single', 'indoor_multi'],
    num_trials=10,
    gallery_source='random_seed')
val_evaluator = dict(type='SYSUMetric', settings=['all_single'], num_trials=10)

# What tools/run_trials.py sets to the number of the trial.
trial_keys = ['randomness.seed']
