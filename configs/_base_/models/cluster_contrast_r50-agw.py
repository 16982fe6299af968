# The network of AGW, contrast with prototypes of clusters that follow one image after the
# other. One branch, "intra": clusters of each modality by itself.
_base_ = ['./agw_r50.py']

model = dict(
    head=dict(
        _delete_=True,
        type='ClusterContrastHead',
        in_channels=2048,
        branches=dict(
            intra=dict(
                # 'moved' for the gradient of the releases that compare images with the
                # memory of the other modality.
                cross_gradient='fixed',
                memory=dict(
                    type='ClusterMemory', mode='mean', mean_update='sample',
                    temperature=0.05, momentum=0.2, margin=0.0)))),
    test_cfg=dict(flip=True))
