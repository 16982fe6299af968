# DEEN: two-stream ResNet-50 that brings back what its stages lose, and makes two more
# embeddings of each image before its last stage.
model = dict(
    type='CrossModalityReIdentifier',
    data_preprocessor=dict(
        type='ReIDDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375]),
    backbone=dict(
        type='CrossModalityBackbone',
        modality_specific='stem',
        # Folding is what the published code does; the published numbers come from it.
        aggregation=dict(stages=(0, 1, 2), fold_positions=True),
        expansion=dict(after_stage=2, dropout=0.01),
        trunk=dict(type='mmpretrain.ResNet', depth=50, strides=(1, 2, 2, 1)),
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50')),
    neck=dict(type='BranchPooling', num_branches=3),
    head=dict(
        type='DEENHead',
        num_classes=395,
        in_channels=2048,
        margin=0.3,
        pair_mining_weight=0.8,
        pair_mining_margin=0.2,
        orthogonality_weight=0.01,
        # Weights of the pooled cosines and of those after the batch normalisation.
        descriptors=dict(base=(0.5, 0.5))),
    test_cfg=dict(flip=True))
