# The paper's text: one update of the summed losses of both branches in the second stage,
# where the release makes one for each.
_base_ = ['./bmil_r50-agw_2x50e_sysu.py']

train_cfg = dict(
    stages=[
        dict(name='intra-modality learning', epochs=50, branches=['intra']),
        dict(
            name='cross-modality learning',
            epochs=50,
            branches=['intra', 'cross'],
            pipeline={{_base_.later_pipeline}},
            optim_wrapper=dict(type='SummingOptimWrapper', accumulative_counts=2)),
    ])
