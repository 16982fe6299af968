# Unofficial, not reproduced: the head of MPANet with mixtures of its patterns. All constants are
# ours.
part_mix_head = dict(
    type='PartMixHead',
    num_patterns=6,
    start_epoch=10,
    part_mix=dict(
        num_mixes=4, mix_rate=0.5, keep_rate=0.5, temperature=0.07, loss_weight=0.5))
