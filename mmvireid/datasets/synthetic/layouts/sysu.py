"""SYSU-MM01's folders, split files and gallery permutations."""

import io
from collections.abc import Sequence

import numpy as np
from scipy.io import savemat

from ..camera import SYSU_CAMERAS
from .plan import ImageTask, Plan, Request, split_rng, varied_size

#: Part of the people each camera sees; cameras 1 and 2 see the same ones, as in SYSU-MM01.
PRESENCE = {1: 0.58, 2: 0.58, 3: 0.97, 4: 0.98, 5: 0.99, 6: 1.0}
TEST_SHARE = 96 / 491
VALIDATION_SHARE = 99 / 395
NUM_TRIALS = 10


def _mat_bytes(**variables: np.ndarray) -> bytes:
    """Return a MATLAB 5 file without the time stamp that would change its bytes.

    Args:
        **variables (np.ndarray): Content.

    Returns:
        bytes: The file.
    """
    stream = io.BytesIO()
    savemat(stream, variables)
    header = b'MATLAB 5.0 MAT-file, mmvireid synthetic data'.ljust(116)
    return header + stream.getvalue()[116:]


def _present(seed: int, groups: Sequence[Sequence[int]]) -> dict[int, set[int]]:
    """Choose who appears in which camera.

    Args:
        seed (int): Seed.
        groups (Sequence[Sequence[int]]): Identities of each split; every camera
            sees somebody of each, and everybody has a visible camera.

    Returns:
        dict[int, set[int]]: Camera number to identities.
    """
    seen: dict[int, set[int]] = {number: set() for number in PRESENCE}
    for k, group in enumerate(groups):
        order = split_rng(seed, 1, k).permutation(np.asarray(group))
        # Cameras 4 and 5 leave out different people, so everybody is left with one of them.
        for number, share in PRESENCE.items():
            count = max(1, round(share * len(group)))
            people = order[::-1] if number == 5 else order
            seen[number].update(int(i) for i in people[:count])
        seen[5].update(set(group) - seen[4])
    return seen


def plan_sysu(request: Request) -> Plan:
    """Plan ``cam{1..6}/<id:04d>/<nnnn>.jpg`` and ``exp/``.

    Args:
        request (Request): What is wanted; by default 20 pictures per person and
            camera of about 256 x 112 pixels, and SYSU-MM01's share of test and
            validation people.

    Returns:
        Plan: Pictures and files.
    """
    seed = request.seed
    count = request.images_per_camera or 20
    size = request.size or (256, 112)
    num_test = request.test_ids or max(2, round(request.ids * TEST_SHARE))
    order = split_rng(seed, 0).permutation(request.ids) + 1
    test = sorted(int(i) for i in order[:num_test])
    num_validation = max(1, round((request.ids - num_test) * VALIDATION_SHARE))
    validation = sorted(int(i) for i in order[num_test:num_test + num_validation])
    train = sorted(int(i) for i in order[num_test + num_validation:])
    seen = _present(seed, (train + validation, test))

    tasks = []
    for number, camera in SYSU_CAMERAS.items():
        for identity in sorted(seen[number]):
            for index in range(1, count + 1):
                box = varied_size(split_rng(seed, 2, identity, number, index), size)
                tasks.append(ImageTask((f'cam{number}/{identity:04d}/{index:04d}.jpg', ),
                                       identity, camera, index, box))

    files = {}
    splits = {'train': train, 'val': validation, 'test': test,
                  'available': sorted(train + validation + test)}
    for name, ids in splits.items():
        files[f'exp/{name}_id.txt'] = (','.join(map(str, ids)) + '\n').encode()
        files[f'exp/{name}_id.mat'] = _mat_bytes(id=np.asarray([ids], np.uint16))
    files['exp/rand_perm_cam.mat'] = _permutations(seed, request.ids, seen, count)
    return Plan(tasks, files)


def _permutations(seed: int, num_ids: int, seen: dict[int, set[int]], count: int) -> bytes:
    """Return the official gallery permutations' file.

    A cell of 6 x 1 cameras, each a cell of people x 1, each an array of shape
    ``(10, n)``: per trial a permutation of the person's ``n`` pictures, counted
    from 1; ``n`` is 0 for people the camera did not see.

    Args:
        seed (int): Seed.
        num_ids (int): Number of people.
        seen (dict[int, set[int]]): Camera number to identities.
        count (int): Pictures per person and camera.

    Returns:
        bytes: The MATLAB file.
    """
    dtype = np.uint8 if count < 256 else np.uint16
    cameras = np.empty((len(seen), 1), object)
    for row, number in enumerate(sorted(seen)):
        people = np.empty((num_ids, 1), object)
        for identity in range(1, num_ids + 1):
            trials = np.zeros((NUM_TRIALS, 0), dtype)
            if identity in seen[number]:
                rng = split_rng(seed, 3, identity, number)
                trials = np.stack([rng.permutation(count) + 1
                                   for _ in range(NUM_TRIALS)]).astype(dtype)
            people[identity - 1, 0] = trials
        cameras[row, 0] = people
    return _mat_bytes(rand_perm_cam=cameras)
