# Ablation: nothing leads a generated embedding to the other modality.
_base_ = ['./deen_r50_151e_sysu.py']
model = dict(head=dict(pair_mining_weight=0))
