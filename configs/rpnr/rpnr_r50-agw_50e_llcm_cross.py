# The second stage: labels are calibrated, clusters matched, neighbours related.
_base_ = ['./rpnr_r50-agw_50e_llcm_intra.py']

model = dict(
    head=dict(branches=dict(intra=dict(losses=dict(relation={{_base_.neighbor_relation}})))))
default_hooks = dict(
    pseudo_labels=dict(
        labellers=dict(
            intra={{_base_.calibrated_and_matched}})))
