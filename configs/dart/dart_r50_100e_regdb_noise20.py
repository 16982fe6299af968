# DART where 20 % of the training labels are wrong.
_base_ = ['./dart_r50_100e_regdb.py']
train_dataloader = dict(dataset=dict(label_noise=dict(rate=0.2, seed=0)))
