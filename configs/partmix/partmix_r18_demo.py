# Unofficial PartMix on the synthetic pedestrians of CIFT's demo. A stand-in for trying the
# toolbox; its numbers say nothing about real data.
_base_ = ['../mpanet/mpanet_r18_demo.py']

model = dict(
    head=dict(
        type='PartMixHead',
        num_patterns=6,
        # 28 epochs instead of 140.
        start_epoch=3,
        part_mix=dict(
            num_mixes=4, mix_rate=0.5, keep_rate=0.5, temperature=0.07, loss_weight=0.5)))
