# The first stage of RPNR on RegDB: each modality by itself.
_base_ = [
    '../_base_/models/rpnr_r50-agw.py',
    '../_base_/datasets/regdb.py',
    '../_base_/pseudo_labels/intra_modality.py',
    '../_base_/schedules/bmil_50e.py',
]

train_dataloader = dict(
    batch_size=192,
    dataset=dict(pipeline={{_base_.unjittered_pipeline}}),
    sampler=dict(
        _base_.cluster_sampler, num_visible_clusters=4, num_steps=100))
test_dataloader = dict(dataset=dict(pipeline={{_base_.test_pipeline}}))
val_dataloader = test_dataloader

# Ten images per person and modality: a smaller radius.
default_hooks = dict(
    pseudo_labels=dict(
        labellers=dict(
            intra=dict(partition=dict(visible=dict(eps=0.3), infrared=dict(eps=0.3))))))
auto_scale_lr = dict(base_batch_size=192)
