# The second stage with prototypes that follow one image after the other, as in the first stage.
_base_ = ['./pgm_r50-agw_50e_sysu_cross.py']

model = dict(
    head=dict(branches=dict(intra=dict(memory=dict(
        mode='mean', mean_update='sample', margin=0.0)))))
