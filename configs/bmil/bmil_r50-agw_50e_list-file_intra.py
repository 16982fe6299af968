# The first stage of BMIL on your own footage: train.csv with identity -1 in every line will
# do. The radius and the neighbours are those of SYSU-MM01, about 85 images of a person; fewer
# images of a person want a smaller k1.
_base_ = [
    '../_base_/models/bmil_r50-agw.py',
    '../_base_/datasets/list_file.py',
    '../_base_/pseudo_labels/bmil.py',
    '../_base_/schedules/bmil_50e.py',
]

train_dataloader = dict(
    batch_size=256,
    dataset=dict(pipeline={{_base_.train_pipeline}}),
    sampler={{_base_.cluster_sampler}})
test_dataloader = dict(dataset=dict(pipeline={{_base_.test_pipeline}}))
val_dataloader = test_dataloader
