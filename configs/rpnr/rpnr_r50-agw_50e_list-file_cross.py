# The second stage: labels are calibrated, clusters matched by optimal transport, and images of
# one modality learn from the memory of the other and from that of both, the visible ones in
# even epochs.
_base_ = ['./rpnr_r50-agw_50e_list-file_intra.py']

model = dict(
    head=dict(
        branches=dict(
            intra=dict(
                # normalize=True for features on the unit sphere: as released, with raw ones, no
                # pair is near enough to be pulled.
                losses=dict(
                    relation=dict(
                        type='NeighborRelationLoss', sigma=1.0, delta=1.0, normalize=False,
                        loss_weight=10.0))))))
default_hooks = dict(
    pseudo_labels=dict(
        labellers=dict(
            intra=dict(
                refine=[dict(type='PrototypeCalibration', num_reliable=20, threshold=0.5)],
                associate=dict(type='OptimalTransportMatching', reg=5.0),
                plan=dict(
                    type='HybridMemories', cross_weight=0.25, hybrid_weight=0.5,
                    turns='alternate')))))
