# AGW: one view, no erasing, no colour operation. Images stay uint8; the data
# preprocessor normalises them on the device.
_base_ = ['./test.py']

train_pipeline = [
    dict(type='LoadReIDImage', size={{_base_.image_size}}),
    dict(type='PadRandomCrop', padding=10),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackReIDInputs'),
]
