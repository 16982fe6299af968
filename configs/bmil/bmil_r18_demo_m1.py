# M1 of the paper's ablation: intra-modality learning alone, one stage.
_base_ = ['./bmil_r18_demo.py']

train_cfg = dict(stages=[dict(name='intra-modality learning', epochs=3, branches=['intra'])])
default_hooks = dict(
    pseudo_labels=dict(branches=dict(intra=dict(clusterer=dict(visible_ratio=1)))))
