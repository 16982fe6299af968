"""LLCM's folders and index files."""

from ..camera import LLCM_CAMERAS
from .plan import ImageTask, Plan, Request, split_rng, varied_size

TEST_SHARE = 351 / 1064
#: Number of places a person passes.
PLACES_PER_PERSON = 5


def plan_llcm(request: Request) -> Plan:
    """Plan ``{vis,nir}/<id:04d>/``, ``test_{vis,nir}/cam<n>/<id:04d>/`` and ``idx/``.

    Test pictures lie in both trees, as in LLCM. Nobody is seen by a
    near-infrared camera 3, which LLCM does not have.

    Args:
        request (Request): What is wanted; by default 5 pictures per person and
            camera of about 256 x 112 pixels, LLCM's share of test people.

    Returns:
        Plan: Pictures and files.
    """
    seed = request.seed
    count = request.images_per_camera or 5
    size = request.size or (256, 112)
    num_test = request.test_ids or max(2, round(request.ids * TEST_SHARE))
    order = [int(i) + 1 for i in split_rng(seed, 0).permutation(request.ids)]
    test, train = sorted(order[:num_test]), sorted(order[num_test:])
    labels = {identity: label for ids in (train, test) for label, identity in enumerate(ids)}

    tasks = []
    lines: dict[str, list[str]] = {f'{split}_{kind}': [] for split in ('train', 'test')
                                   for kind in ('vis', 'nir')}
    for identity in range(1, request.ids + 1):
        split = 'test' if identity in test else 'train'
        places = _places(seed, identity)
        for kind, infrared in (('vis', False), ('nir', True)):
            for place in places:
                camera = LLCM_CAMERAS.get((place, infrared))
                if camera is None:
                    continue
                rng = split_rng(seed, 1, identity, place, int(infrared))
                scene, frame = int(rng.integers(100000, 240000)), int(rng.integers(1000, 8000))
                for index in range(1, count + 1):
                    frame += int(rng.integers(1, 60))
                    name = f'{identity:04d}_c{place:02d}_s{scene}_f{frame}_{kind}.jpg'
                    path = f'{kind}/{identity:04d}/{name}'
                    paths = [path]
                    if split == 'test':
                        paths.append(f'test_{kind}/cam{place}/{identity:04d}/{name}')
                    tasks.append(ImageTask(tuple(paths), identity, camera, index,
                                           varied_size(rng, size)))
                    lines[f'{split}_{kind}'].append(f'{path} {labels[identity]}\n')

    files = {f'idx/{name}.txt': ''.join(content).encode() for name, content in lines.items()}
    files['idx/test_id.txt'] = (','.join(map(str, test)) + '\n').encode()
    return Plan(tasks, files)


def _places(seed: int, identity: int) -> list[int]:
    """Choose the places a person passes.

    Args:
        seed (int): Seed.
        identity (int): Person.

    Returns:
        list[int]: Places in order. The first follows the identity's number, so
        that each place sees somebody.
    """
    first = identity % 9 + 1
    others = [place for place in range(1, 10) if place != first]
    chosen = split_rng(seed, 2, identity).permutation(others)[:PLACES_PER_PERSON - 1]
    return sorted([first, *map(int, chosen)])
