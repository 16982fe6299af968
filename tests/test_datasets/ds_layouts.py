"""Tiny datasets in the real layouts, written file by file."""

import numpy as np
from PIL import Image


def write_image(path, seed=0, size=(12, 24)):
    """A smooth coloured picture; ``size`` is (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (4, 3, 3), dtype=np.uint8)
    Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).save(path)
    return path


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def sysu_layout(root, train=(2, 5), val=(7, ), test=(9, 12), images=3):
    """Every identity in all six cameras; identities have four digits."""
    for camera in range(1, 7):
        for identity in (*train, *val, *test):
            for number in range(1, images + 1):
                write_image(root / f'cam{camera}' / f'{identity:04d}' / f'{number:04d}.jpg',
                            seed=1000 * camera + 10 * identity + number)
    (root / 'exp').mkdir()
    for split, identities in (('train', train), ('val', val), ('test', test)):
        (root / 'exp' / f'{split}_id.txt').write_text(','.join(map(str, identities)) + '\n')
    return root


def regdb_layout(root, identities=4, images=2, trials=(1, 2)):
    """Odd persons train and even persons test in trial 1, the reverse in trial 2."""
    for person in range(1, identities + 1):
        for modality, letter in (('Visible', 'v'), ('Thermal', 't')):
            for number in range(1, images + 1):
                write_image(root / modality / str(person) / f'male_{letter}_{number:05d}.bmp',
                            seed=100 * person + number)
    (root / 'idx').mkdir()
    for trial in trials:
        for split, parity in (('train', trial % 2), ('test', 1 - trial % 2)):
            persons = [p for p in range(1, identities + 1) if p % 2 == parity]
            for modality, letter in (('Visible', 'v'), ('Thermal', 't')):
                lines = [f'{modality}/{person}/male_{letter}_{number:05d}.bmp {label}'
                         for label, person in enumerate(persons)
                         for number in range(1, images + 1)]
                (root / 'idx' / f'{split}_{modality.lower()}_{trial}.txt').write_text(
                    '\n'.join(lines) + '\n')
    return root


def llcm_layout(root, train=3, test=(4, 6), images=2):
    """Training images in cameras 1 and 2, test images in 1..3 (no infrared in 3)."""
    (root / 'idx').mkdir(parents=True)
    for name in ('vis', 'nir'):
        lines = []
        for label in range(train):
            for number in range(images):
                camera = 1 + number % 2
                path = f'train_{name}/{label:04d}/{label:04d}_c{camera:02d}_{number:04d}.jpg'
                write_image(root / path, seed=10 * label + number)
                lines.append(f'{path} {label}')
        (root / 'idx' / f'train_{name}.txt').write_text('\n'.join(lines) + '\n')
        for camera in (1, 2, 3) if name == 'vis' else (1, 2):
            for identity in test:
                for number in range(images):
                    write_image(root / f'test_{name}' / f'cam{camera}' / f'{identity:04d}'
                                / f'{number:04d}.jpg', seed=identity + camera + number)
    (root / 'idx' / 'test_id.txt').write_text(','.join(map(str, test)) + '\n')
    return root
