# The second stage: batches of both branches in turn, one update each.
_base_ = ['./bmil_r50-agw_50e_regdb_intra.py']

train_dataloader = dict(sampler=dict(turns=['intra', 'cross']))
