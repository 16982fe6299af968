# AGW's demo where 20 % of the training labels are wrong, with as many steps as without.
_base_ = ['./agw_r18_demo.py']
train_dataloader = dict(
    dataset=dict(label_noise=dict(rate=0.2, seed=0)), sampler=dict(num_steps=48))
