# AGW: two-stream ResNet-50 (private stems), non-local blocks, GeM, BNNeck.
model = dict(
    type='CrossModalityReIdentifier',
    data_preprocessor=dict(
        type='ReIDDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375]),
    backbone=dict(
        type='CrossModalityBackbone',
        modality_specific='stem',
        # Width 1 is what the published code has; the papers' tables come from it.
        non_local=dict(blocks=(0, 2, 3, 0), inter_channels=1),
        trunk=dict(type='mmpretrain.ResNet', depth=50, strides=(1, 2, 2, 1)),
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50')),
    neck=dict(type='GeneralizedMeanPooling', p=3.0),
    head=dict(
        type='BNNeckHead',
        num_classes=395,
        in_channels=2048,
        metric_loss=dict(type='WeightedRegularizedTripletLoss')),
    test_cfg=dict(flip=False))
