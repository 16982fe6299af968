# The first stage of RPNR on SYSU-MM01: each modality by itself. The release gives its
# result to download; these are its settings for RegDB with the numbers of SYSU-MM01.
_base_ = [
    '../_base_/models/rpnr_r50-agw.py',
    '../_base_/datasets/sysu_mm01.py',
    '../_base_/pseudo_labels/intra_modality.py',
    '../_base_/schedules/bmil_50e.py',
]

train_dataloader = dict(
    batch_size=256,
    dataset=dict(pipeline={{_base_.unjittered_pipeline}}),
    sampler={{_base_.cluster_sampler}})
test_dataloader = dict(dataset=dict(pipeline={{_base_.test_pipeline}}))
val_dataloader = test_dataloader
