# Ablation: without patterns, the whole map alone.
_base_ = ['./mpanet_r50_140e_sysu.py']
model = dict(
    neck=dict(_delete_=True, type='mmpretrain.GlobalAveragePooling'),
    head=dict(in_channels=2048))
