# Unofficial PartMix on the synthetic pedestrians of CIFT's demo. A stand-in for trying the
# toolbox; its numbers say nothing about real data.
_base_ = ['../mpanet/mpanet_r18_demo.py', '../_base_/models/part_mix_head.py']

# 28 epochs instead of 140.
model = dict(head=dict(_base_.part_mix_head, start_epoch=3))
