# The first stage of BMIL on RegDB: each modality by itself. Infrared images are not jittered.
_base_ = [
    '../_base_/models/bmil_r50-agw.py',
    '../_base_/datasets/regdb.py',
    '../_base_/pseudo_labels/bmil.py',
    '../_base_/schedules/bmil_50e.py',
]

train_dataloader = dict(
    batch_size=192,
    dataset=dict(pipeline={{_base_.train_pipeline}}),
    sampler=dict(
        _base_.cluster_sampler, num_visible_clusters=4, num_steps=100))
test_dataloader = dict(dataset=dict(pipeline={{_base_.test_pipeline}}))
val_dataloader = test_dataloader

# Ten images per person and modality: a smaller radius, and no subsets.
default_hooks = dict(
    pseudo_labels=dict(
        labellers=dict(
            intra=dict(
                partition=dict(
                    visible=dict(eps=0.3), infrared=dict(eps=0.3), visible_ratio=1)),
            cross=dict(partition=dict(clusterer=dict(eps=0.3), visible_ratio=1)))))
auto_scale_lr = dict(base_batch_size=192)
