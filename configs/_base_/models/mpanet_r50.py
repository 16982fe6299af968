# MPANet: one ResNet-50 for both modalities, modality alleviation behind its last two stages,
# six patterns and the whole map beside each other (7 * 2048 channels), three classifiers.
model = dict(
    type='CrossModalityReIdentifier',
    data_preprocessor=dict(
        type='ReIDDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375]),
    backbone=dict(
        type='CrossModalityBackbone',
        modality_specific=(),
        alleviation=dict(after_stages=(2, 3), reduction=16),
        trunk=dict(type='mmpretrain.ResNet', depth=50, strides=(1, 2, 2, 1)),
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50')),
    neck=dict(
        type='PatternAlignment', in_channels=2048, num_patterns=6, separation_weight=0.5),
    head=dict(
        type='MutualMeanHead',
        num_classes=395,
        in_channels=14336,
        metric_loss=dict(type='CenterClusterLoss', margin=0.7),
        # The released code adds these losses twice with its own 0.5.
        sid_weight=1.0,
        kl_weight=2.5,
        update_rate=0.2,
        full_rate_epochs=100),
    test_cfg=dict(flip=False))
