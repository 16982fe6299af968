_base_ = [
    '../_base_/models/agw_r50.py',
    '../_base_/datasets/sysu_mm01.py',
    '../_base_/pipelines/agw.py',
    '../_base_/schedules/agw_81e.py',
    '../default_runtime.py',
]

model = dict(head=dict(num_classes={{_base_.num_ids}}))
train_dataloader = dict(
    dataset=dict(pipeline={{_base_.train_pipeline}}), sampler=dict(extra_step=True))
test_dataloader = dict(dataset=dict(pipeline={{_base_.test_pipeline}}))
val_dataloader = test_dataloader
