# Ablation: the base branch alone, without graph branches in training and in testing.
_base_ = ['./cift_r50_120e_sysu.py']

model = dict(head=dict(directions=()))

val_evaluator = dict(
    rankings=dict(_delete_=True, backbone={{_base_.rankings.backbone}}))
test_evaluator = dict(
    rankings=dict(
        _delete_=True,
        backbone={{_base_.rankings.backbone}},
        k_reciprocal={{_base_.rankings.k_reciprocal}}))
