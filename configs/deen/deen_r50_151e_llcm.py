_base_ = [
    '../_base_/models/deen_r50.py',
    '../_base_/datasets/llcm.py',
    '../_base_/pipelines/deen.py',
    '../_base_/schedules/deen_151e.py',
    '../default_runtime.py',
]

model = dict(head=dict(num_classes={{_base_.num_ids}}))
train_dataloader = dict(
    batch_size=48,
    dataset=dict(pipeline={{_base_.moderate_erasing_pipeline}}),
    sampler=dict(num_ids=6, extra_step=True))
test_dataloader = dict(dataset=dict(pipeline={{_base_.test_pipeline}}))
val_dataloader = test_dataloader
