# DEEN: larger images, any of them without colour half of the time. Erasing runs after
# normalising, as released, and takes up to four fifths of an image on SYSU-MM01.
image_size = (384, 144)  # height, width

load_image = dict(type='LoadReIDImage', size=image_size)
change_image = [
    dict(type='RandomGrayscale', prob=0.5),
    dict(type='PadRandomCrop', padding=10),
    dict(type='RandomFlip', prob=0.5),
    dict(
        type='Normalize',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=False),
]
pack = dict(type='PackReIDInputs')

train_pipeline = [
    load_image,
    *change_image,
    dict(
        type='RandomErasing', prob=0.5, area_range=(0.2, 0.8), fill=(0.485, 0.456, 0.406)),
    pack,
]
# RegDB and LLCM.
moderate_erasing_pipeline = [
    load_image,
    *change_image,
    dict(
        type='RandomErasing', prob=0.5, area_range=(0.02, 0.4), fill=(0.485, 0.456, 0.406)),
    pack,
]
test_pipeline = [load_image, pack]
