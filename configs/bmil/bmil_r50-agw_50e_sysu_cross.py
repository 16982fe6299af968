# The second stage: batches of both branches in turn, one update each. Infrared images are
# not jittered any more.
_base_ = ['./bmil_r50-agw_50e_sysu_intra.py']

train_dataloader = dict(
    dataset=dict(pipeline={{_base_.train_pipeline}}),
    sampler=dict(turns=['intra', 'cross']))
