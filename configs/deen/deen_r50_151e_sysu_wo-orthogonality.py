# Ablation: nothing keeps the generated branches apart.
_base_ = ['./deen_r50_151e_sysu.py']
model = dict(head=dict(orthogonality_weight=0))
