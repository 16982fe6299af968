# The first stage of RPNR on your own footage: train.csv with identity -1 in every line will
# do. These values are ours, not measured yet: those of SYSU-MM01. They are for about 85 images
# of a person; fewer want a smaller k1.
_base_ = [
    '../_base_/models/rpnr_r50-agw.py',
    '../_base_/datasets/list_file.py',
    '../_base_/pseudo_labels/intra_modality.py',
    '../_base_/schedules/bmil_50e.py',
]

train_dataloader = dict(
    batch_size=256,
    dataset=dict(pipeline={{_base_.unjittered_pipeline}}),
    sampler={{_base_.cluster_sampler}})
test_dataloader = dict(dataset=dict(pipeline={{_base_.test_pipeline}}))
val_dataloader = test_dataloader
