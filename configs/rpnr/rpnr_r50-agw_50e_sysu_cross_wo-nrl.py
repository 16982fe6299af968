# The second stage without neighbour relations.
_base_ = ['./rpnr_r50-agw_50e_sysu_cross.py']

model = dict(head=dict(branches=dict(intra=dict(losses=None))))
