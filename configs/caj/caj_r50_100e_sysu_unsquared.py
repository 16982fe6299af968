# CAJ with the triplet loss of AGW, which no distance gap can kill.
_base_ = ['./caj_r50_100e_sysu.py']
model = dict(head=dict(metric_loss=dict(squared=False)))
