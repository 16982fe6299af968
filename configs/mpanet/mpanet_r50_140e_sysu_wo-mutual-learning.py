# Ablation: the classifiers of the modalities do not learn from each other.
_base_ = ['./mpanet_r50_140e_sysu.py']
model = dict(head=dict(kl_weight=0.0))
