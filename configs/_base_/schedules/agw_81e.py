# SGD, warm-up over 10 epochs, a tenth after 20 and a hundredth after 50 epochs.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True),
    # The pre-trained trunk learns ten times slower than necks and classifiers.
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1)}))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=True, begin=0, end=10),
    dict(type='MultiStepLR', milestones=[20, 50], gamma=0.1, by_epoch=True),
]
train_cfg = dict(by_epoch=True, max_epochs=81, val_interval=10)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(enable=False, base_batch_size=64)
