default_scope = 'mmvireid'

# All hooks are named entries, so that each can be changed or switched off:
# --cfg-options default_hooks.checkpoint.interval=5 default_hooks.last_and_best=None
default_hooks = dict(
    interrupt=dict(type='InterruptHook'),
    stop_at_checkpoint=dict(type='StopAtCheckpointHook'),
    runtime_info=dict(type='RuntimeInfoHook'),
    epoch_seed=dict(type='EpochSeedHook'),
    training_progress=dict(type='TrainingProgressHook'),
    timer=dict(type='IterTimerHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    check_loss=dict(type='CheckLossHook'),
    checkpoint_guard=dict(type='CheckpointGuardHook'),
    # Every rank would otherwise validate, cluster and save with BatchNorm
    # statistics of its own.
    sync_buffers=dict(type='SyncBuffersHook'),
    checkpoint=dict(type='SafeCheckpointHook', interval=1, max_keep_ckpts=2),
    last_and_best=dict(type='LastAndBestHook'))

env_cfg = dict(
    # Benchmarking picks kernels by timing: another run, another rounding.
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    # Seconds; other ranks wait while one clusters or evaluates.
    dist_cfg=dict(backend='nccl', timeout=7200))

log_processor = dict(by_epoch=True, window_size=20)
log_level = 'INFO'
visualizer = dict(type='ReIDVisualizer', vis_backends=[dict(type='LocalVisBackend')])

randomness = dict(seed=0)
load_from = None
resume = False
