# DART: the schedule of CAJ for each network; the first epoch warms up. From the second on,
# an epoch begins with the probability of each label to be right.
_base_ = ['./caj_100e.py', '../../default_runtime.py']

default_hooks = dict(
    clean_probabilities=dict(
        type='CleanProbabilityHook',
        begin='${train_dataloader.sampler.warmup_epochs}',
        mode='train'))
