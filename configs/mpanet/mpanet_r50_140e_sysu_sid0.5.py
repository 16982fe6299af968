# Ablation: the weight of the classifiers of the modalities that the released configuration
# states; its code adds their losses twice.
_base_ = ['./mpanet_r50_140e_sysu.py']
model = dict(head=dict(sid_weight=0.5))
