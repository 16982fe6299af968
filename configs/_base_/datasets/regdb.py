# RegDB, raw folders; one model for each of the ten splits (tools/run_trials.py).
data_root = 'data/RegDB'
num_ids = 206
trial = 1

train_dataloader = dict(
    batch_size=64,
    num_workers=4,
    worker_init_fn=dict(type='mmvireid.seed_worker'),
    dataset=dict(type='RegDB', data_root=data_root, trial=trial, split='train'),
    sampler=dict(
        type='CrossModalityPKSampler', num_ids=8, num_visible=4, num_infrared=4))

test_dataloader = dict(
    batch_size=128,
    num_workers=4,
    dataset=dict(
        type='RegDB', data_root=data_root, trial=trial, split='test'),
    sampler=dict(type='DefaultSampler', shuffle=False))
val_dataloader = test_dataloader

test_evaluator = dict(type='RegDBMetric', settings=['v2t', 't2v'])
val_evaluator = test_evaluator

# What tools/run_trials.py sets to the number of the trial.
trial_keys = [
    'train_dataloader.dataset.trial', 'val_dataloader.dataset.trial',
    'test_dataloader.dataset.trial'
]
