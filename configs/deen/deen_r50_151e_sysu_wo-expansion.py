# Ablation: no generated embeddings, and so nothing to mine or to keep apart.
_base_ = ['./deen_r50_151e_sysu.py']
model = dict(backbone=dict(expansion=None), neck=dict(num_branches=1))
