_base_ = [
    '../_base_/models/caj_r50.py',
    '../_base_/datasets/llcm.py',
    '../_base_/pipelines/caj.py',
    '../_base_/schedules/caj_100e.py',
    '../default_runtime.py',
]

model = dict(head=dict(num_classes={{_base_.num_ids}}))
train_dataloader = dict(
    dataset=dict(pipeline={{_base_.train_pipeline}}), sampler=dict(extra_step=True))
test_dataloader = dict(dataset=dict(pipeline={{_base_.test_pipeline}}))
val_dataloader = test_dataloader
