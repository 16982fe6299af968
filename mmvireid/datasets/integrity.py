"""Compare a dataset's folder with what it should hold.

Random galleries depend on the content of each folder: one file too many, a
Thumbs.db for example, shifts every draw after it, and the numbers of a paper
cannot be met. So these checks count each folder and name what differs.
"""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from mmvireid.evaluation.functional.protocols import (
    SYSU_INFRARED_CAMERAS,
    SYSU_VISIBLE_CAMERAS,
)
from mmvireid.utils.errors import DatasetError

from .folders import list_images, read_identities, read_path_label_list, require_root
from .sysu_mm01_counts import sysu_expected_counts, sysu_expected_identities

_SYSU_CAMERAS = tuple(sorted(SYSU_VISIBLE_CAMERAS + SYSU_INFRARED_CAMERAS))
_REGDB_TRIALS = range(1, 11)
_REGDB_IDENTITIES = 412
_REGDB_IMAGES = 10
_REGDB_LIST_IDENTITIES = 206
_LLCM_CAMERAS = {'vis': set(range(1, 10)), 'nir': set(range(1, 10)) - {3}}
_LLCM_TRAIN_LINES = {'vis': 16946, 'nir': 13975}
_LLCM_TRAIN_IDENTITIES = 713
_LLCM_TEST_IDENTITIES = 351
_LLCM_TEST_IMAGES = 15846


class Finding(NamedTuple):
    """One difference between a folder and what it should hold.

    Attributes:
        kind: 'missing', 'extra' or 'wrong'.
        where: file or folder, relative to the dataset's root.
        what: the difference in words.

    Examples:
        >>> from mmvireid.datasets import Finding
        >>> print(Finding('extra', 'cam1/0001/Thumbs.db', 'is not an image'))
        extra   cam1/0001/Thumbs.db: is not an image
    """

    kind: str
    where: str
    what: str

    def __str__(self) -> str:
        return f'{self.kind:<8}{self.where}: {self.what}'


def check_dataset(root: str, dataset: str, *, layout_only: bool = False) -> list[Finding]:
    """Compare a folder with a dataset's layout and official counts.

    Args:
        root: folder of the dataset.
        dataset: 'sysu', 'regdb' or 'llcm'.
        layout_only: check folders, names and index files but not the official
            numbers: for subsets and synthetic stand-ins.

    Returns:
        All differences; empty if there are none.

    Raises:
        DatasetError: if ``root`` does not exist or the dataset is unknown.
    """
    if dataset not in _CHECKS:
        raise DatasetError(
            f'there is no check for "{dataset}": choose one of {", ".join(sorted(_CHECKS))}')
    require_root(root, dataset)
    return _CHECKS[dataset](os.fspath(root), layout_only)


def _subfolders(folder: str) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if os.path.isdir(entry))


def _find_other_files(names: Iterable[str], where: str) -> list[Finding]:
    return [Finding('extra', os.path.join(where, name),
                    'is hidden, so it is not an image' if name.startswith('.') else
                    'is not an image') for name in names]


def _person_folders(folder: str, where: str, digits: str) -> tuple[dict[int, str],
                                                                  list[Finding]]:
    """Find the folders of persons; other folders, and files beside them, are findings."""
    with os.scandir(folder) as entries:
        files = sorted(entry.name for entry in entries if not os.path.isdir(entry))
    findings = [Finding('extra', os.path.join(where, name), 'lies beside the folders of persons')
                for name in files]
    persons = {}
    for name in _subfolders(folder):
        if re.fullmatch(digits, name):
            persons[int(name)] = name
        else:
            findings.append(
                Finding('extra', os.path.join(where, name), 'is not the folder of a person'))
    return persons, findings


def _odd_names(names: Iterable[str], expected: int) -> str:
    """Name the files by which a folder differs from ``0001.jpg`` and so on."""
    found, wanted = set(names), {f'{number:04d}.jpg' for number in range(1, expected + 1)}
    parts = [
        f'{word} {", ".join(sorted(odd)[:10])}{" ..." if len(odd) > 10 else ""}'
        for word, odd in (('without', wanted - found), ('with', found - wanted)) if odd
    ]
    return f', {" and ".join(parts)}' if found and expected and parts else ''


def _compare_count(found: int, expected: int, where: str, unit: str, hint: str = '') -> list[
        Finding]:
    if found == expected:
        return []
    kind, word = ('missing', 'too few') if found < expected else ('extra', 'too many')
    return [Finding(
        kind, where,
        f'{found} {unit} instead of {expected}, {abs(found - expected)} {word}{hint}')]


def _check_sysu(root: str, layout_only: bool) -> list[Finding]:
    findings: list[Finding] = []
    found: dict[tuple[int, int], list[str]] = {}
    for camera in _SYSU_CAMERAS:
        name = f'cam{camera}'
        folder = os.path.join(root, name)
        if not os.path.isdir(folder):
            findings.append(Finding('missing', name, 'the camera folder does not exist'))
            continue
        persons, strange = _person_folders(folder, name, r'\d{4}')
        findings += strange
        for identity, person in persons.items():
            images, others = list_images(os.path.join(folder, person))
            findings += _find_other_files(others, os.path.join(name, person))
            if images:
                found[camera, identity] = images
    findings += _check_sysu_splits(root, {key: len(v) for key, v in found.items()}, layout_only)
    if not layout_only:
        expected = sysu_expected_counts()
        for camera, identity in sorted(found.keys() | expected.keys()):
            names, number = found.get((camera, identity), []), expected.get((camera, identity), 0)
            findings += _compare_count(
                len(names), number, os.path.join(f'cam{camera}', f'{identity:04d}'), 'images',
                _odd_names(names, number))
        if not os.path.isfile(os.path.join(root, 'exp', 'rand_perm_cam.mat')):
            findings.append(Finding(
                'missing', os.path.join('exp', 'rand_perm_cam.mat'),
                'the official galleries need it (random-seed galleries do not)'))
    return findings


def _check_sysu_splits(root: str, counts: dict[tuple[int, int], int],
                       layout_only: bool) -> list[Finding]:
    findings: list[Finding] = []
    owner: dict[int, str] = {}
    expected = sysu_expected_identities()
    for split in ('train', 'val', 'test'):
        where = os.path.join('exp', f'{split}_id.txt')
        try:
            identities = set(read_identities(os.path.join(root, where)))
        except DatasetError as error:
            kind = 'wrong' if os.path.exists(os.path.join(root, where)) else 'missing'
            findings.append(Finding(kind, where, str(error)))
            continue
        if not layout_only:
            findings += _compare_sets(identities, set(expected[split]), where, 'identity')
        for identity in sorted(identities):
            if identity in owner:
                findings.append(Finding(
                    'wrong', where, f'identity {identity} is in {owner[identity]}_id.txt too'))
            owner[identity] = split
            for cameras, modality in ((SYSU_VISIBLE_CAMERAS, 'visible'),
                                      (SYSU_INFRARED_CAMERAS, 'infrared')):
                if not any((camera, identity) in counts for camera in cameras):
                    findings.append(Finding(
                        'missing', where, f'identity {identity} has no {modality} image'))
    return findings


def _compare_sets(found: set[int], expected: set[int], where: str, unit: str) -> list[Finding]:
    return ([Finding('missing', where, f'{unit} {value}') for value in sorted(expected - found)]
            + [Finding('extra', where, f'{unit} {value}') for value in sorted(found - expected)])


def _check_regdb(root: str, layout_only: bool) -> list[Finding]:
    findings: list[Finding] = []
    for name in ('Visible', 'Thermal'):
        folder = os.path.join(root, name)
        if not os.path.isdir(folder):
            findings.append(Finding('missing', name, 'the folder does not exist'))
            continue
        persons, strange = _person_folders(folder, name, r'\d+')
        findings += strange
        counts: Counter = Counter()
        for identity, person in persons.items():
            images, others = list_images(os.path.join(folder, person))
            findings += _find_other_files(others, os.path.join(name, person))
            counts[identity] = len(images)
        if not layout_only:
            for identity in sorted(counts.keys() | set(range(1, _REGDB_IDENTITIES + 1))):
                expected = _REGDB_IMAGES if 1 <= identity <= _REGDB_IDENTITIES else 0
                findings += _compare_count(
                    counts[identity], expected, os.path.join(name, str(identity)), 'images')
    present = [trial for trial in _REGDB_TRIALS if any(
        os.path.exists(os.path.join(root, path)) for _, path in _regdb_lists(trial))]
    for trial in _REGDB_TRIALS if not layout_only else present or [1]:
        findings += _check_regdb_trial(root, trial, layout_only)
    return findings


def _regdb_lists(trial: int) -> list[tuple[str, str]]:
    return [(split, os.path.join('idx', f'{split}_{modality}_{trial}.txt'))
            for split in ('train', 'test') for modality in ('visible', 'thermal')]


def _check_regdb_trial(root: str, trial: int, layout_only: bool) -> list[Finding]:
    findings: list[Finding] = []
    labels: dict[str, list[set[int]]] = defaultdict(list)
    persons: dict[str, set[str]] = defaultdict(set)
    person_of: dict[tuple[str, int], set[str]] = defaultdict(set)
    for split, where in _regdb_lists(trial):
        pairs, problem = _read_list(root, where)
        findings += problem
        if problem:
            continue
        labels[split].append({label for _, label in pairs})
        for path, label in pairs:
            person = os.path.basename(os.path.dirname(path))
            persons[split].add(person)
            person_of[split, label].add(person)
        if not layout_only:
            findings += _compare_count(
                len(pairs), _REGDB_LIST_IDENTITIES * _REGDB_IMAGES, where, 'lines')
            findings += _compare_count(
                len(labels[split][-1]), _REGDB_LIST_IDENTITIES, where, 'identities')
    for split, sets in labels.items():
        if len(sets) == 2 and sets[0] != sets[1]:
            findings.append(Finding(
                'wrong', os.path.join('idx', f'{split}_*_{trial}.txt'),
                f'{len(sets[0] ^ sets[1])} identities are in one of the two lists only'))
    for split in ('train', 'test'):
        mixed = sorted(label for (own, label), names in person_of.items()
                       if own == split and len(names) > 1)
        if mixed:
            names = ', '.join(sorted(person_of[split, mixed[0]])[:10])
            findings.append(Finding(
                'wrong', os.path.join('idx', f'{split}_*_{trial}.txt'),
                f'{len(mixed)} labels stand for several persons, first {mixed[0]} for {names}'))
    both = persons['train'] & persons['test']
    if both:
        findings.append(Finding(
            'wrong', os.path.join('idx', f'*_{trial}.txt'),
            f'{len(both)} persons are in train and in test, first {min(both)}'))
    return findings


def _read_list(root: str, where: str) -> tuple[list[tuple[str, int]], list[Finding]]:
    path = os.path.join(root, where)
    try:
        return read_path_label_list(root, path), []
    except DatasetError as error:
        return [], [Finding('wrong' if os.path.exists(path) else 'missing', where, str(error))]


def _check_llcm(root: str, layout_only: bool) -> list[Finding]:
    findings: list[Finding] = []
    train_labels = []
    for name, expected in _LLCM_TRAIN_LINES.items():
        where = os.path.join('idx', f'train_{name}.txt')
        pairs, problem = _read_list(root, where)
        findings += problem
        if problem:
            continue
        train_labels.append({label for _, label in pairs})
        if not layout_only:
            findings += _compare_count(len(pairs), expected, where, 'lines')
            findings += _compare_count(
                len(train_labels[-1]), _LLCM_TRAIN_IDENTITIES, where, 'identities')
    if len(train_labels) == 2 and train_labels[0] != train_labels[1]:
        findings.append(Finding(
            'wrong', os.path.join('idx', 'train_*.txt'),
            f'{len(train_labels[0] ^ train_labels[1])} identities are in one list only'))
    where = os.path.join('idx', 'test_id.txt')
    try:
        wanted = set(read_identities(os.path.join(root, where)))
    except DatasetError as error:
        kind = 'wrong' if os.path.exists(os.path.join(root, where)) else 'missing'
        return [*findings, Finding(kind, where, str(error))]
    if not layout_only:
        findings += _compare_count(len(wanted), _LLCM_TEST_IDENTITIES, where, 'identities')
    return findings + _check_llcm_test(root, wanted, layout_only)


def _check_llcm_test(root: str, wanted: set[int], layout_only: bool) -> list[Finding]:
    findings: list[Finding] = []
    total = 0
    seen: set[int] = set()
    for name, cameras in _LLCM_CAMERAS.items():
        top = f'test_{name}'
        if not os.path.isdir(os.path.join(root, top)):
            findings.append(Finding('missing', top, 'the folder does not exist'))
            continue
        folders = set(_subfolders(os.path.join(root, top)))
        for camera in sorted(cameras):
            if f'cam{camera}' not in folders and not layout_only:
                findings.append(Finding(
                    'missing', os.path.join(top, f'cam{camera}'), 'the camera folder'))
        for folder in sorted(folders):
            where = os.path.join(top, folder)
            if folder not in {f'cam{camera}' for camera in range(1, 10)}:
                findings.append(Finding('extra', where, 'is not the folder of a camera'))
                continue
            persons, strange = _person_folders(os.path.join(root, where), where, r'\d{4}')
            findings += strange
            for identity, person in persons.items():
                images, others = list_images(os.path.join(root, where, person))
                findings += _find_other_files(others, os.path.join(where, person))
                if images and identity not in wanted:
                    findings.append(Finding(
                        'extra', os.path.join(where, person), 'is not in idx/test_id.txt'))
                    continue
                if images and not layout_only and int(folder[3:]) not in cameras:
                    findings.append(Finding(
                        'extra', os.path.join(where, person), 'this camera has no such images'))
                total += len(images)
                if images:
                    seen.add(identity)
    findings += [
        Finding('missing', 'test_vis, test_nir', f'identity {identity} has no image')
        for identity in sorted(wanted - seen)
    ]
    if not layout_only:
        findings += _compare_count(total, _LLCM_TEST_IMAGES, 'test_vis, test_nir', 'images')
    return findings


_CHECKS: dict[str, Callable[[str, bool], list[Finding]]] = {
    'sysu': _check_sysu,
    'regdb': _check_regdb,
    'llcm': _check_llcm,
}
