# The second stage: labels are calibrated, clusters matched, neighbours related.
# Five reliable images of ten.
_base_ = ['./rpnr_r50-agw_50e_regdb_intra.py']

model = dict(
    head=dict(branches=dict(intra=dict(losses=dict(relation={{_base_.neighbor_relation}})))))
default_hooks = dict(
    pseudo_labels=dict(
        labellers=dict(
            intra=dict(
                _base_.calibrated_and_matched,
                refine=[dict(type='PrototypeCalibration', num_reliable=5, threshold=0.5)]))))
