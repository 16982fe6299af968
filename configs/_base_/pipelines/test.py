# What every recipe does to a test image, and the one place of the image size.
image_size = (288, 144)  # height, width

test_pipeline = [
    dict(type='LoadReIDImage', size=image_size),
    dict(type='PackReIDInputs'),
]
