# Ablation: without modality alleviation.
_base_ = ['./mpanet_r50_140e_sysu.py']
model = dict(backbone=dict(alleviation=None))
