# Soft identification alone, without the adaptive quadruplet loss.
_base_ = ['./dart_r50_100e_sysu_noise20.py']
model = dict(head=dict(metric_loss=None))
