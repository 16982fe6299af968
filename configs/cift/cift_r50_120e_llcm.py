_base_ = [
    '../_base_/models/cift_r50.py',
    '../_base_/datasets/llcm.py',
    '../_base_/pipelines/cift.py',
    '../_base_/schedules/cift_120e.py',
    '../default_runtime.py',
]

model = dict(head=dict(num_classes={{_base_.num_ids}}))
train_dataloader = dict(
    dataset=dict(pipeline={{_base_.train_pipeline}}),
    sampler=dict(type='CrossModalityChunkSampler'))
test_dataloader = dict(dataset=dict(pipeline={{_base_.test_pipeline}}))
val_dataloader = test_dataloader
val_evaluator = dict(rankings={{_base_.val_rankings}})
test_evaluator = dict(rankings={{_base_.rankings}})
