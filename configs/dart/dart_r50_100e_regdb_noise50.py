# DART where 50 % of the training labels are wrong.
_base_ = ['./dart_r50_100e_regdb.py']
train_dataloader = dict(dataset=dict(label_noise=dict(rate=0.5, seed=0)))
