# The second stage with one update of the summed losses of both branches.
_base_ = ['./bmil_r50-agw_50e_sysu_cross.py']

optim_wrapper = dict(type='SummingOptimWrapper', accumulative_counts=2)
