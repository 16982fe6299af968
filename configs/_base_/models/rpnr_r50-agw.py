# RPNR: the network of AGW, contrast with a mean and a hard prototype of each cluster.
_base_ = ['./cluster_contrast_r50-agw.py']

model = dict(
    head=dict(
        branches=dict(
            intra=dict(
                memory=dict(
                    _delete_=True, type='ClusterMemory', mode='hybrid', temperature=0.05,
                    momentum=0.1, margin=0.2)))))

# What the second stage adds: labels are calibrated, clusters matched by optimal transport, and
# images of one modality learn from the memory of the other and from that of both, the visible
# ones in even epochs.
calibrated_and_matched = dict(
    refine=[dict(type='PrototypeCalibration', num_reliable=20, threshold=0.5)],
    associate=dict(type='OptimalTransportMatching', reg=5.0),
    plan=dict(
        type='HybridMemories', cross_weight=0.25, hybrid_weight=0.5, turns='alternate'))
# normalize=True for features on the unit sphere: as released, with raw ones, no pair is near
# enough to be pulled.
neighbor_relation = dict(
    type='NeighborRelationLoss', sigma=1.0, delta=1.0, normalize=False, loss_weight=10.0)
