# BMIL: the schedule of either stage; a tenth after 20 and a hundredth after 40 epochs. The
# paper's text has 3.5e-3, its code 3.5e-4.
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='Adam', lr=3.5e-4, weight_decay=5e-4))
param_scheduler = [
    dict(type='MultiStepLR', milestones=[20, 40], gamma=0.1, by_epoch=True),
]
train_cfg = dict(by_epoch=True, max_epochs=50, val_interval=10)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(enable=False, base_batch_size=256)
