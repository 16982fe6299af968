# CAJ: the network of AGW, trained with squared differences, tested with flip averaging.
_base_ = ['./agw_r50.py']

model = dict(
    # Dies beyond a distance gap of 9.38: squared=False is the way back.
    head=dict(metric_loss=dict(squared=True)),
    test_cfg=dict(flip=True))
