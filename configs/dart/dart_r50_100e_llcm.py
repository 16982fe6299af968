# LLCM is not in the release: this is the recipe of SYSU-MM01 on it.
_base_ = [
    '../_base_/models/dart_r50.py',
    '../_base_/datasets/llcm.py',
    '../_base_/pipelines/caj.py',
    '../_base_/schedules/dart_100e.py',
]

model = dict(head=dict(num_classes={{_base_.num_ids}}))
train_dataloader = dict(
    dataset=dict(pipeline={{_base_.train_pipeline}}),
    sampler={{_base_.co_teaching_sampler}})
test_dataloader = dict(dataset=dict(pipeline={{_base_.test_pipeline}}))
val_dataloader = test_dataloader
