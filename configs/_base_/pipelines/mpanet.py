# MPANet: high and narrow images, resized bilinearly. Erasing runs after normalising and fills
# with the mean colour, as published.
image_size = (384, 128)  # height, width

load_image = dict(type='LoadReIDImage', size=image_size, interpolation='bilinear')
change_image = [
    dict(type='RandomFlip', prob=0.5),
    dict(type='PadRandomCrop', padding=10, fill=127),
    dict(
        type='Normalize',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=False),
    dict(
        type='RandomErasing',
        prob=0.5,
        area_range=(0.02, 0.33),
        aspect_range=(0.3, 3.3),
        aspect='log_uniform',
        attempts=10,
        fill=(0, 0, 0)),
    dict(type='PackReIDInputs'),
]
train_pipeline = [load_image, *change_image]
test_pipeline = [load_image, dict(type='PackReIDInputs')]
