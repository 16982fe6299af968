# CAJ: the schedule of AGW over 100 epochs.
_base_ = ['./agw_81e.py']

train_cfg = dict(max_epochs=100)
