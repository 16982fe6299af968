# BMIL: the network of AGW, contrast with prototypes of clusters. The branch "intra"
# clusters each modality by itself, the branch "cross" both together.
_base_ = ['./agw_r50.py']

model = dict(
    head=dict(
        _delete_=True,
        type='ClusterContrastHead',
        in_channels=2048,
        branches=dict(
            intra=dict(
                memory=dict(
                    type='ClusterMemory', mode='hybrid', temperature=0.05, momentum=0.1,
                    margin=0.2)),
            cross=dict(
                # 'moved' for the gradient of the release.
                cross_gradient='fixed',
                loss_weight=0.5,
                memory=dict(
                    type='ClusterMemory', mode='hybrid', temperature=0.05, momentum=0.1,
                    margin=0.0, num_candidates=50)))),
    test_cfg=dict(flip=True))
