# Unofficial, not reproduced: see README.md.
_base_ = ['../mpanet/mpanet_r50_140e_sysu.py', '../_base_/models/part_mix_head.py']

model = dict(head={{_base_.part_mix_head}})
