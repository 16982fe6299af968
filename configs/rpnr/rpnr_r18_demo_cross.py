# The second stage of RPNR on synthetic pedestrians. Twelve reliable images, of about 25 visible
# and 16 infrared ones of a person.
_base_ = ['../_base_/demo/matched_clusters.py']

model = dict(
    head=dict(
        branches=dict(
            intra=dict(
                memory=dict(mode='hybrid', momentum=0.1, margin=0.2),
                losses=dict(relation=dict(type='NeighborRelationLoss', loss_weight=10.0))))))
default_hooks = dict(
    pseudo_labels=dict(
        labellers=dict(
            intra=dict(
                refine=[dict(type='PrototypeCalibration', num_reliable=12, threshold=0.5)],
                associate=dict(type='OptimalTransportMatching', reg=5.0),
                plan=dict(type='HybridMemories', cross_weight=0.25, hybrid_weight=0.5)))))
