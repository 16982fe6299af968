"""Who is searched for in which gallery: the protocols of the public datasets.

Pure functions on plain arrays. Each protocol has one function that returns the
rows of the queries and the rows of the gallery of a trial, so every image is
embedded once and a trial is a selection of rows::

    query, gallery = sysu_trial(identities, cameras, mode='all', shot=1, trial=0)
    metrics = rank_metrics(distance[np.ix_(query, gallery)], ...)

Random galleries repeat the published ones: the public code seeds Python's
generator with the trial's number and calls ``random.choice`` for each identity
and camera in order. Here the same numbers come from a private generator, so the
caller's random state stays as it was.
"""

import os
import random
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.io import loadmat

from mmvireid.utils.errors import InputError, MMVIReIDError

SYSU_VISIBLE_CAMERAS = (1, 2, 4, 5)
SYSU_INDOOR_CAMERAS = (1, 2)
SYSU_INFRARED_CAMERAS = (3, 6)

#: (camera, identity) -> shape ``(trials, n)``, 1-based positions in the sorted folder.
Permutations = Mapping[tuple[int, int], np.ndarray]
Rows = tuple[np.ndarray, np.ndarray]


class ProtocolError(MMVIReIDError, ValueError):
    """Report images and a protocol file that do not fit together."""


def sysu_gallery_cameras(mode: str) -> tuple[int, ...]:
    """Return the visible cameras that a search mode of SYSU-MM01 covers.

    Args:
        mode: 'all' or 'indoor'.

    Returns:
        Camera numbers, ascending.

    Raises:
        InputError: if there is no such mode.
    """
    if mode not in ('all', 'indoor'):
        raise InputError(f'SYSU-MM01 has the search modes "all" and "indoor", not "{mode}"')
    return SYSU_VISIBLE_CAMERAS if mode == 'all' else SYSU_INDOOR_CAMERAS


def load_sysu_permutations(path: str | os.PathLike) -> dict[tuple[int, int], np.ndarray]:
    """Read the official gallery draws, ``exp/rand_perm_cam.mat``.

    Args:
        path: the MATLAB file that comes with SYSU-MM01.

    Returns:
        (camera, identity) -> int64 array of shape ``(10, n)``: row t is a
        permutation of the 1-based positions in the sorted folder.

    Raises:
        ProtocolError: if the file is missing or holds something else.
    """
    if not os.path.isfile(path):
        raise ProtocolError(
            f'the official galleries need "{path}", which is missing: copy rand_perm_cam.mat '
            "from SYSU-MM01's exp folder, or use source='random_seed'")
    try:
        cells = loadmat(path)['rand_perm_cam']
        return {
            (camera, identity): np.asarray(cell[0], dtype=np.int64)
            for camera, people in enumerate(cells[:, 0], start=1)
            for identity, cell in enumerate(people, start=1) if cell[0].size
        }
    except (KeyError, IndexError, TypeError, ValueError, NotImplementedError) as error:
        raise ProtocolError(
            f'"{path}" does not hold the cells rand_perm_cam{{camera}}{{identity}} '
            f'({error}): copy it again from the original dataset') from error


def sample_sysu_gallery(identities: np.ndarray,
                        cameras: np.ndarray,
                        order: Sequence | None = None,
                        *,
                        mode: str = 'all',
                        shot: int = 1,
                        trial: int = 0,
                        source: str = 'random_seed',
                        permutations: Permutations | None = None) -> np.ndarray:
    """Draw the gallery of one trial of SYSU-MM01.

    The two sources are incompatible protocols (their first trials share 16 of
    301 images); a table should name the one it used.

    * 'random_seed': ``random.seed(trial)``, then for each identity and each
      camera in ascending order one ``random.choice`` of the folder's sorted
      files. For several shots the public code has no rule; here it is one
      ``random.sample`` of ``shot`` files, without replacement.
    * 'official': row ``trial`` of the dataset's own permutation file, its first
      ``shot`` positions.

    A folder with fewer than ``shot`` images gives all it has (the real test
    folders hold at least 13).

    Args:
        identities: shape ``(N,)``, identity of each image.
        cameras: shape ``(N,)``, camera of each image; images of cameras outside
            the mode, infrared ones too, are passed over.
        order: N sortable keys (paths or names) that put the images of a folder
            in the order of its sorted listing; None if the rows are in that
            order already.
        mode: 'all' or 'indoor'.
        shot: images per identity and camera; 1 and 10 are the published ones.
        trial: 0 .. 9 in the published protocol.
        source: 'random_seed' or 'official'.
        permutations: result of :func:`load_sysu_permutations`, for 'official'.

    Returns:
        Row numbers of the gallery images, shape ``(G,)`` int64, by identity, then
        camera, then position in the draw.

    Raises:
        InputError: if an argument has no meaning.
        ProtocolError: if the permutations do not fit the images.
    """
    if source not in ('random_seed', 'official'):
        raise InputError(
            f'galleries of SYSU-MM01 come from "random_seed" or "official", not "{source}"')
    if shot < 1 or trial < 0:
        raise InputError(f'shot must be at least 1 and trial at least 0, got {shot} and {trial}')
    folders = _folders(identities, cameras, order, sysu_gallery_cameras(mode))
    if source == 'official':
        if permutations is None:
            raise InputError("source='official' needs the permutations of rand_perm_cam.mat")
        drawn = [_official_rows(key, rows, permutations, shot, trial) for key, rows in folders]
    else:
        generator = random.Random(trial)
        drawn = [_random_rows(rows, shot, generator) for _, rows in folders]
    return np.concatenate(drawn) if drawn else np.empty(0, dtype=np.int64)


def sysu_trial(identities: np.ndarray,
               cameras: np.ndarray,
               order: Sequence | None = None,
               *,
               mode: str = 'all',
               shot: int = 1,
               trial: int = 0,
               source: str = 'random_seed',
               permutations: Permutations | None = None) -> Rows:
    """Select queries and gallery of one trial of SYSU-MM01.

    The queries are all infrared images, those of cameras 3 and 6, in both modes;
    in the indoor mode some of them have no match and leave the averages.

    Args:
        identities: shape ``(N,)``, identity of each image.
        cameras: shape ``(N,)``, camera of each image.
        order: see :func:`sample_sysu_gallery`.
        mode: 'all' or 'indoor'.
        shot: images per identity and camera.
        trial: number of the trial, from 0.
        source: 'random_seed' or 'official'.
        permutations: result of :func:`load_sysu_permutations`, for 'official'.

    Returns:
        Row numbers of the queries and of the gallery, int64.

    Raises:
        ValueError: as :func:`sample_sysu_gallery`.
        ProtocolError: as :func:`sample_sysu_gallery`.
    """
    queries = np.flatnonzero(np.isin(cameras, SYSU_INFRARED_CAMERAS))
    gallery = sample_sysu_gallery(
        identities, cameras, order, mode=mode, shot=shot, trial=trial, source=source,
        permutations=permutations)
    return queries, gallery


def regdb_trial(modalities: np.ndarray, *, direction: str) -> Rows:
    """Select queries and gallery of RegDB: one whole modality against the other.

    Args:
        modalities: shape ``(N,)``, 0 visible, 1 infrared.
        direction: 'v2t' (visible queries, thermal gallery) or 't2v'.

    Returns:
        Row numbers of the queries and of the gallery, int64.

    Raises:
        InputError: if there is no such direction.
    """
    if direction not in ('v2t', 't2v'):
        raise InputError(f'RegDB has the directions "v2t" and "t2v", not "{direction}"')
    visible = np.flatnonzero(np.asarray(modalities) == 0)
    thermal = np.flatnonzero(np.asarray(modalities) == 1)
    return (visible, thermal) if direction == 'v2t' else (thermal, visible)


def sample_llcm_gallery(identities: np.ndarray,
                        cameras: np.ndarray,
                        order: Sequence | None = None,
                        *,
                        trial: int = 0) -> np.ndarray:
    """Draw one image per identity and camera, as LLCM's public code does.

    Args:
        identities: shape ``(N,)``, identities of the images of ONE modality.
        cameras: shape ``(N,)``, their cameras.
        order: see :func:`sample_sysu_gallery`.
        trial: 0 .. 9 in the published protocol.

    Returns:
        Row numbers, shape ``(G,)`` int64, by identity, then camera.

    Raises:
        ValueError: if the arrays do not agree in length.
    """
    generator = random.Random(trial)
    every_camera = np.unique(cameras).tolist()
    folders = _folders(identities, cameras, order, every_camera)
    drawn = [_random_rows(rows, 1, generator) for _, rows in folders]
    return np.concatenate(drawn) if drawn else np.empty(0, dtype=np.int64)


def llcm_trial(identities: np.ndarray,
               cameras: np.ndarray,
               modalities: np.ndarray,
               order: Sequence | None = None,
               *,
               direction: str,
               trial: int = 0,
               protocol: str = 'paper') -> Rows:
    """Select queries and gallery of one trial of LLCM.

    ``protocol='paper'`` searches all images of the query modality in a gallery
    of one image per identity and camera of the other. The released code does
    the same from infrared to visible, but its visible-to-infrared branch
    transposes the matrix: the sampled infrared images become the queries and all
    visible images the gallery, an easier or harder task but another one.
    ``protocol='repo'`` repeats that, for comparison with numbers made so.

    Args:
        identities: shape ``(N,)``, identity of each image.
        cameras: shape ``(N,)``, camera of each image.
        modalities: shape ``(N,)``, 0 visible, 1 infrared.
        order: see :func:`sample_sysu_gallery`.
        direction: 'v2i' or 'i2v'.
        trial: number of the trial, from 0.
        protocol: 'paper' or 'repo'.

    Returns:
        Row numbers of the queries and of the gallery, int64.

    Raises:
        InputError: if an argument has no meaning.
    """
    if direction not in ('v2i', 'i2v'):
        raise InputError(f'LLCM has the directions "v2i" and "i2v", not "{direction}"')
    if protocol not in ('paper', 'repo'):
        raise InputError(f'LLCM has the protocols "paper" and "repo", not "{protocol}"')
    modalities = np.asarray(modalities)
    whole = np.flatnonzero(modalities == (0 if direction == 'v2i' else 1))
    other = np.flatnonzero(modalities == (1 if direction == 'v2i' else 0))
    keys = None if order is None else [order[row] for row in other]
    sampled = other[sample_llcm_gallery(
        np.asarray(identities)[other], np.asarray(cameras)[other], keys, trial=trial)]
    transposed = direction == 'v2i' and protocol == 'repo'
    return (sampled, whole) if transposed else (whole, sampled)


def _folders(identities: np.ndarray, cameras: np.ndarray, order: Sequence | None,
             wanted: Sequence[int]) -> list[tuple[tuple[int, int], np.ndarray]]:
    """Group rows by (camera, identity), identity-major, each in listing order."""
    identities, cameras = np.asarray(identities), np.asarray(cameras)
    lengths = {len(identities), len(cameras)} | ({len(order)} if order is not None else set())
    if len(lengths) != 1:
        raise InputError(
            f'identities, cameras and order must have one entry per image, got {sorted(lengths)}')
    rows = np.arange(len(identities))
    if order is not None:
        rows = np.array(sorted(rows.tolist(), key=order.__getitem__), dtype=np.int64)
    rows = rows[np.isin(cameras[rows], wanted)]
    rows = rows[np.lexsort((cameras[rows], identities[rows]))]  # stable
    if not len(rows):
        return []
    keys = np.stack([cameras[rows], identities[rows]], axis=1)
    starts = np.flatnonzero(np.any(keys[1:] != keys[:-1], axis=1)) + 1
    parts = np.split(rows, starts)
    return [((int(cameras[part[0]]), int(identities[part[0]])), part) for part in parts]


def _random_rows(rows: np.ndarray, shot: int, generator: random.Random) -> np.ndarray:
    if shot == 1:
        picks = [generator.choice(range(len(rows)))]
    else:
        picks = generator.sample(range(len(rows)), min(shot, len(rows)))
    return rows[picks]


def _official_rows(key: tuple[int, int], rows: np.ndarray, permutations: Permutations,
                   shot: int, trial: int) -> np.ndarray:
    camera, identity = key
    if key not in permutations:
        raise ProtocolError(
            f'rand_perm_cam.mat has no entry for camera {camera} and identity {identity}: the '
            'file belongs to another set of images')
    draws = permutations[key]
    if trial >= len(draws):
        raise ProtocolError(f'rand_perm_cam.mat has trials 0 .. {len(draws) - 1}, not {trial}')
    if draws.shape[1] != len(rows):
        raise ProtocolError(
            f'rand_perm_cam.mat expects {draws.shape[1]} images of identity {identity} in camera '
            f'{camera} but there are {len(rows)}: complete the folder, '
            'tools/misc/check_dataset.py names what is missing or extra')
    return rows[draws[trial, :shot] - 1]
