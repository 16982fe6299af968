# Ablation: attention over single positions, which the released code folds in two.
_base_ = ['./deen_r50_151e_sysu.py']
model = dict(backbone=dict(aggregation=dict(fold_positions=False)))
