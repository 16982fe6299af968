# Unofficial, not reproduced: see README.md.
# The recipe of SYSU-MM01: the release of MPANet has none for LLCM.
_base_ = [
    '../_base_/models/partmix_r50.py',
    '../_base_/datasets/llcm.py',
    '../_base_/pipelines/mpanet.py',
    '../_base_/schedules/mpanet_140e.py',
    '../default_runtime.py',
]

model = dict(head=dict(num_classes={{_base_.num_ids}}))
train_dataloader = dict(
    batch_size=128,
    dataset=dict(pipeline={{_base_.train_pipeline}}),
    sampler=dict(type='CrossModalityExhaustiveSampler', num_ids=16))
test_dataloader = dict(dataset=dict(pipeline={{_base_.test_pipeline}}))
val_dataloader = test_dataloader
