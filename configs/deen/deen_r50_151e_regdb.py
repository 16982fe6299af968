# A shorter network, as released: the expansion before the third stage, which is the last.
_base_ = [
    '../_base_/models/deen_r50.py',
    '../_base_/datasets/regdb.py',
    '../_base_/pipelines/deen.py',
    '../_base_/schedules/deen_151e.py',
    '../default_runtime.py',
]

model = dict(
    backbone=dict(
        aggregation=dict(stages=(0, 1)),
        expansion=dict(after_stage=1),
        trunk=dict(
            num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(2, ))),
    head=dict(num_classes={{_base_.num_ids}}, in_channels=1024))
train_dataloader = dict(
    batch_size=48,
    dataset=dict(pipeline={{_base_.moderate_erasing_pipeline}}),
    sampler=dict(num_ids=6, extra_step=True))
test_dataloader = dict(dataset=dict(pipeline={{_base_.test_pipeline}}))
val_dataloader = test_dataloader
