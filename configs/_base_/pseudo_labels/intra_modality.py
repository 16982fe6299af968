# Clusters of each modality by itself before each epoch, of all images.
_base_ = ['../pipelines/bmil.py', '../../default_runtime.py']

jaccard = dict(
    type='JaccardDBSCAN',
    eps=0.6,
    min_samples=4,
    neighbors=dict(type='PlainNeighbors', k1=30, k2=6))

# Batches of the first stage on SYSU-MM01; it takes the place of a dataset's own sampler.
cluster_sampler = dict(
    _delete_=True,
    type='ClusterSampler',
    num_visible_clusters=8,
    num_infrared_clusters=8,
    num_instances=16,
    num_steps=200,
    turns=['intra'])

default_hooks = dict(
    pseudo_labels=dict(
        type='PseudoLabelHook',
        extractor=dict(
            type='TrainingSetExtractor',
            pipeline={{_base_.cluster_pipeline}},
            batch_size=128,
            num_workers=4,
            flip=True,
            normalize=False),
        labellers=dict(
            intra=dict(
                type='ClusterLabeller',
                partition=dict(
                    type='IntraModalityClustering', visible=jaccard, infrared=jaccard),
                plan=dict(type='ModalityMemories')))))
