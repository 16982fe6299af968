# The second stage: batches of both branches in turn, one update each.
_base_ = ['./bmil_r18_demo_intra.py']

train_dataloader = dict(sampler=dict(turns=['intra', 'cross']))
train_cfg = dict(max_epochs=8)
