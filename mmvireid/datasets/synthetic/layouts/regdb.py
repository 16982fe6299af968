"""RegDB's folders and the index files of its ten trials."""

from ..camera import REGDB_CAMERAS
from .plan import ImageTask, Plan, Request, split_rng

NUM_TRIALS = 10
_FOLDERS = (('Visible', 'visible', 'v'), ('Thermal', 'thermal', 't'))


def plan_regdb(request: Request) -> Plan:
    """Plan ``{Visible,Thermal}/<id>/*.bmp`` and ``idx/``.

    A person is filmed on one walk, from the front or from behind, by a camera
    with a visible and a thermal eye. The splits are ours: the official index
    files belong to the real dataset.

    Args:
        request (Request): What is wanted; by default 10 pictures per person and
            modality of 128 x 64 pixels, half of the people for the test.

    Returns:
        Plan: Pictures and files.
    """
    seed = request.seed
    count = request.images_per_camera or 10
    size = request.size or (128, 64)
    num_test = request.test_ids or request.ids // 2
    world = request.world()
    tasks, names = [], {}
    for identity in range(1, request.ids + 1):
        rng = split_rng(seed, 1, identity)
        direction = ('front', 'back')[rng.integers(2)]
        gender = world.person(identity).gender
        for folder, modality, letter in _FOLDERS:
            camera = REGDB_CAMERAS[modality]
            # Frame numbers of a walk grow, with gaps, as where a detector missed frames.
            frames = rng.integers(1, 4, count).cumsum() + 40 * identity
            stem = f'{folder}/{identity}/{gender}_{direction}_{letter}'
            paths = [f'{stem}_{frame:05d}_{identity}.bmp' for frame in frames]
            names[identity, modality] = paths
            tasks += [ImageTask((path, ), identity, camera, index, size,
                                0.0 if direction == 'front' else 180.0)
                      for index, path in enumerate(paths, start=1)]

    files = {}
    for trial in range(1, NUM_TRIALS + 1):
        order = [int(i) + 1 for i in split_rng(seed, 2, trial).permutation(request.ids)]
        splits = {'test': sorted(order[:num_test]), 'train': sorted(order[num_test:])}
        for split, ids in splits.items():
            for _, modality, _ in _FOLDERS:
                lines = [f'{path} {label}\n' for label, identity in enumerate(ids)
                         for path in names[identity, modality]]
                files[f'idx/{split}_{modality}_{trial}.txt'] = ''.join(lines).encode()
    return Plan(tasks, files)
