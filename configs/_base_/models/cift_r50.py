# CIFT: one ResNet-50 for both modalities, average pooling, three BNNecks.
model = dict(
    type='CrossModalityReIdentifier',
    data_preprocessor=dict(
        type='ReIDDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375]),
    backbone=dict(
        type='CrossModalityBackbone',
        modality_specific=(),
        trunk=dict(type='mmpretrain.ResNet', depth=50, strides=(1, 2, 2, 1)),
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50')),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
    head=dict(
        type='CIFTHead',
        num_classes=395,
        in_channels=2048,
        graph=dict(tau_het=0.2, tau_hom=0.4, num_neighbors=4),
        num_draws=10,
        noise='slot',
        batch_size=64),
    test_cfg=dict(flip=False))

# Rankings of every CIFT config. CIFT's graph needs the whole gallery; the backbone's
# descriptor (CIFT† in the paper) is a property of one image. Retrieval uses the graph as it
# was trained: ${...} stands for the settings of the head, also where a command line changes
# them.
rankings = {
    'backbone': dict(descriptor='base'),
    'k_reciprocal': dict(
        descriptor='base', post=[dict(type='KReciprocalReRanking', k1=20, k2=6)]),
    'cift': dict(scorer=dict(type='GraphTransfer', graph='${model.head.graph}')),
}
# Validation leaves re-ranking out, to stay short.
val_rankings = {name: rankings[name] for name in ('backbone', 'cift')}
