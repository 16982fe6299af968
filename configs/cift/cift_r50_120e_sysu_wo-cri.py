# Ablation: without counterfactual relation intervention.
_base_ = ['./cift_r50_120e_sysu.py']
model = dict(head=dict(counterfactual=False))
