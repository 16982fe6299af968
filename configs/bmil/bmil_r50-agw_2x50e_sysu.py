_base_ = [
    '../_base_/models/bmil_r50-agw.py',
    '../_base_/datasets/sysu_mm01.py',
    '../_base_/pseudo_labels/bmil.py',
    '../_base_/schedules/bmil_2x50e.py',
]

train_dataloader = dict(
    batch_size=256,
    dataset=dict(pipeline={{_base_.train_pipeline}}),
    sampler=dict(
        _delete_=True,
        type='ClusterSampler',
        num_visible_clusters=8,
        num_infrared_clusters=8,
        num_instances=16,
        num_steps=200))
test_dataloader = dict(dataset=dict(pipeline={{_base_.test_pipeline}}))
val_dataloader = test_dataloader
# The second stage leaves the colour jitter of infrared images out.
train_cfg = dict(
    stages=[
        dict(name='intra-modality learning', epochs=50, branches=['intra']),
        dict(
            name='cross-modality learning',
            epochs=50,
            branches=['intra', 'cross'],
            pipeline={{_base_.later_pipeline}}),
    ])
