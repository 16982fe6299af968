# Your own footage, two lists of images; see docs/en/datasets.md for their columns.
data_root = 'data/own'
num_ids = 100  # people in train.csv

train_dataloader = dict(
    batch_size=64,
    num_workers=4,
    worker_init_fn=dict(type='mmvireid.seed_worker'),
    dataset=dict(
        type='ListFileDataset', data_root=data_root, ann_file='train.csv', split='train'),
    sampler=dict(
        type='CrossModalityPKSampler', num_ids=8, num_visible=4, num_infrared=4))

test_dataloader = dict(
    batch_size=128,
    num_workers=4,
    dataset=dict(
        type='ListFileDataset',
        data_root=data_root,
        ann_file='test.csv',
        split='test'),
    sampler=dict(type='DefaultSampler', shuffle=False))
val_dataloader = test_dataloader

test_evaluator = dict(type='ListFileMetric', settings=['i2v', 'v2i'])
val_evaluator = test_evaluator

# What tools/run_trials.py sets to the number of the trial.
trial_keys = ['randomness.seed']
