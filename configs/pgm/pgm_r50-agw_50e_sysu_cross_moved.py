# The second stage with the gradient of the release, formed with prototypes that have moved.
_base_ = ['./pgm_r50-agw_50e_sysu_cross.py']

model = dict(head=dict(branches=dict(intra=dict(cross_gradient='moved'))))
