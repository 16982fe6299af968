# The first stage of N-ULC on RegDB: each modality by itself.
_base_ = [
    '../_base_/models/cluster_contrast_r50-agw.py',
    '../_base_/datasets/regdb.py',
    '../_base_/pseudo_labels/intra_modality.py',
    '../_base_/schedules/bmil_50e.py',
]

# Without non-local blocks, as released.
model = dict(backbone=dict(non_local=None))
train_dataloader = dict(
    batch_size=384,
    dataset=dict(pipeline={{_base_.train_pipeline}}),
    sampler=dict(
        _base_.cluster_sampler, num_infrared_clusters=16, num_steps=100))
test_dataloader = dict(dataset=dict(pipeline={{_base_.test_pipeline}}))
val_dataloader = test_dataloader

# Ten images per person and modality: a smaller radius.
default_hooks = dict(
    pseudo_labels=dict(
        labellers=dict(
            intra=dict(partition=dict(visible=dict(eps=0.2), infrared=dict(eps=0.2))))))
auto_scale_lr = dict(base_batch_size=384)
