# Ablation: without the contrast, which is MPANet bit for bit.
_base_ = ['./partmix_r50_140e_sysu.py']
model = dict(head=dict(part_mix=dict(loss_weight=0.0)))
