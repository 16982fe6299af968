# The first stage of PGM on SYSU-MM01: each modality by itself. The colours of infrared images
# are jittered too.
_base_ = [
    '../_base_/models/cluster_contrast_r50-agw.py',
    '../_base_/datasets/sysu_mm01.py',
    '../_base_/pseudo_labels/intra_modality.py',
    '../_base_/schedules/bmil_50e.py',
]

train_dataloader = dict(
    batch_size=384,
    dataset=dict(pipeline={{_base_.infrared_jitter_pipeline}}),
    sampler=dict(
        _base_.cluster_sampler, num_infrared_clusters=16))
test_dataloader = dict(dataset=dict(pipeline={{_base_.test_pipeline}}))
val_dataloader = test_dataloader
auto_scale_lr = dict(base_batch_size=384)
