# CIFT: random erasing before normalising, so images stay uint8 until they are on the
# device. The fill is the published (0.4914, 0.4822, 0.4465) on the scale of uint8.
_base_ = ['./test.py']

train_pipeline = [
    dict(type='LoadReIDImage', size={{_base_.image_size}}),
    dict(type='PadRandomCrop', padding=10),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomErasing', prob=0.5, fill=(125.3, 123.0, 113.9)),
    dict(type='PackReIDInputs'),
]
