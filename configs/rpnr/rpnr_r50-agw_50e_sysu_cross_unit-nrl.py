# The second stage with neighbour relations on the unit sphere, where near pairs are pulled
# together.
_base_ = ['./rpnr_r50-agw_50e_sysu_cross.py']

model = dict(
    head=dict(branches=dict(intra=dict(losses=dict(relation=dict(normalize=True))))))
