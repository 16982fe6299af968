# The first stage of BMIL on SYSU-MM01: each modality by itself. The colours of infrared
# images are jittered too.
_base_ = [
    '../_base_/models/bmil_r50-agw.py',
    '../_base_/datasets/sysu_mm01.py',
    '../_base_/pseudo_labels/bmil.py',
    '../_base_/schedules/bmil_50e.py',
]

train_dataloader = dict(
    batch_size=256,
    dataset=dict(pipeline={{_base_.infrared_jitter_pipeline}}),
    sampler={{_base_.cluster_sampler}})
test_dataloader = dict(dataset=dict(pipeline={{_base_.test_pipeline}}))
val_dataloader = test_dataloader
