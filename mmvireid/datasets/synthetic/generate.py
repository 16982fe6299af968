"""Writes a synthetic dataset to disk."""

import json
import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mmvireid.utils.errors import InputError, OccupiedFolderError
from mmvireid.utils.files import described_write_errors, write_atomically
from mmvireid.utils.interrupts import raise_noted_interrupt

from .difficulty import Difficulty
from .layouts import LAYOUTS, ImageTask, Plan, Request
from .world import SyntheticWorld

#: Name of the file that says what a folder holds; it lies where no reader looks for pictures.
MANIFEST = 'synthetic.json'
#: Raised whenever the same request gives other pictures than before.
VERSION = 1
_CHUNK = 64


@dataclass(frozen=True)
class Report:
    """What :func:`make_synthetic` did.

    Args:
        out (Path): Folder of the dataset.
        num_images (int): Number of image files it holds.
        skipped (bool): Whether it was complete already.
    """

    out: Path
    num_images: int
    skipped: bool


class _Writer:
    """Draws and writes pictures; one per process.

    Args:
        out (str): Folder of the dataset.
        seed (int): Seed.
        difficulty (Difficulty): Strengths.
    """

    def __init__(self, out: str, seed: int, difficulty: Difficulty) -> None:
        self.out = out
        self.world = SyntheticWorld(seed, difficulty)

    def write(self, task: ImageTask) -> None:
        image = self.world.image(task.identity, task.camera, task.index, task.size, task.view)
        suffix = Path(task.paths[0]).suffix
        options = []
        if suffix == '.jpg':
            options = [cv2.IMWRITE_JPEG_QUALITY, task.camera.quality]
        encoded = cv2.imencode(suffix, image[..., ::-1], options)[1].tobytes()
        for path in task.paths:
            path = os.path.join(self.out, path)
            with described_write_errors(path), open(path, 'wb') as file:
                file.write(encoded)


_writer: _Writer | None = None


def _start(out: str, seed: int, difficulty: Difficulty) -> None:
    global _writer
    # Pictures are too small for OpenCV's threads; processes share the work.
    cv2.setNumThreads(1)
    _writer = _Writer(out, seed, difficulty)


def _write(tasks: list[ImageTask]) -> int:
    for task in tasks:
        _writer.write(task)
    return len(tasks)


def _read_manifest(out: Path) -> dict[str, Any] | None:
    """Read what a folder holds.

    Args:
        out (Path): Folder of the dataset.

    Returns:
        dict[str, Any] | None: The manifest, or None for a missing or empty folder.

    Raises:
        OccupiedFolderError: If there are files that are not ours.
    """
    if out.exists() and not out.is_dir():
        raise OccupiedFolderError(f'{out} is a file; give a folder for the synthetic dataset.')
    if not out.exists() or not any(out.iterdir()):
        return None
    path = out / MANIFEST
    if not path.is_file():
        raise OccupiedFolderError(f'{out} is not empty and holds no {MANIFEST}, so nothing was '
                                  'written there; give a new folder.')
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise OccupiedFolderError(f'{path} cannot be read ({error}); delete {out} or give a new '
                                  'folder.') from error


def _manifest_matches(manifest: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Tell whether a manifest is that of a request.

    Args:
        manifest (dict[str, Any]): Content of the file. Strengths that did not exist when it
            was written have their default, which leaves pictures as they were.
        wanted (dict[str, Any]): The request as plain values.

    Returns:
        bool: Whether the same pictures are asked for.
    """
    request = dict(manifest.get('request') or {})
    request['difficulty'] = {**asdict(Difficulty()), **request.get('difficulty', {})}
    return request == wanted and manifest.get('version') == VERSION


def _write_manifest(out: Path, request: dict[str, Any], plan: Plan, complete: bool) -> None:
    manifest = {
        'note': 'Synthetic pictures for trying and testing; no evidence about real data.',
        'version': VERSION, 'complete': complete, 'num_images': _num_images(plan),
        'request': request}
    write_atomically(f'{json.dumps(manifest, indent=2)}\n'.encode(), out / MANIFEST)


def _num_images(plan: Plan) -> int:
    return sum(len(task.paths) for task in plan.tasks)


def _is_whole(out: Path, plan: Plan) -> bool:
    names = [*plan.files, *(path for task in plan.tasks for path in task.paths)]
    return all((out / name).is_file() for name in names)


def matches_request(out: str | Path, request: Request) -> bool:
    """Tell whether a folder holds the pictures of a request, or has begun to.

    Args:
        out (str | Path): Folder of the dataset.
        request (Request): What is wanted.

    Returns:
        bool: False for a missing or empty folder too.

    Raises:
        FileExistsError: If the folder holds something else than synthetic pictures.
    """
    manifest = _read_manifest(Path(out))
    return manifest is not None and _manifest_matches(manifest, request.as_dict())


def make_synthetic(request: Request, out: str | Path, workers: int = 1,
                   quiet: bool = False) -> Report:
    """Write a synthetic dataset, or nothing where it is complete already.

    An interrupted run is finished by running it again: the same request gives
    the same bytes, whatever the number of processes.

    Args:
        request (Request): What is wanted.
        out (str | Path): Folder of the dataset; new, empty, or of the same request.
        workers (int): Number of processes. A script that asks for more than one needs
            the usual ``if __name__ == '__main__':``, since they start afresh.
        quiet (bool): Whether to show no progress.

    Returns:
        Report: What was done.

    Raises:
        OccupiedFolderError: If the folder holds something else.
        InputError: If the layout is unknown or the number of workers not positive.
    """
    if request.layout not in LAYOUTS:
        raise InputError(f'The layout must be one of {", ".join(LAYOUTS)}, '
                         f'got {request.layout!r}.')
    if workers < 1:
        raise InputError(f'The number of workers must be at least 1, got {workers}.')
    out = Path(out)
    manifest = _read_manifest(out)
    wanted = request.as_dict()
    if manifest is not None and not _manifest_matches(manifest, wanted):
        raise OccupiedFolderError(f'{out} holds another synthetic dataset (see {out / MANIFEST}); '
                                  'delete it or give a new folder.')
    plan = LAYOUTS[request.layout](request)
    if manifest is not None and manifest.get('complete') and _is_whole(out, plan):
        return Report(out, _num_images(plan), skipped=True)

    out.mkdir(parents=True, exist_ok=True)
    _write_manifest(out, wanted, plan, complete=False)
    folders = {os.path.dirname(path) for task in plan.tasks for path in task.paths}
    folders |= {os.path.dirname(path) for path in plan.files}
    for folder in sorted(folders):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for path, content in plan.files.items():
        write_atomically(content, out / path)
    _write_images(request, out, plan.tasks, workers, quiet)
    _write_manifest(out, wanted, plan, complete=True)
    return Report(out, _num_images(plan), skipped=False)


def _write_images(request: Request, out: Path, tasks: list[ImageTask], workers: int,
                  quiet: bool) -> None:
    chunks = [tasks[i:i + _CHUNK] for i in range(0, len(tasks), _CHUNK)]
    setup = str(out), request.seed, request.difficulty
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(),
               TextColumn('time left'), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
        bar = progress.add_task('Drawing pedestrians', total=len(tasks))
        if workers == 1:
            writer = _Writer(*setup)
            for task in tasks:
                raise_noted_interrupt()
                writer.write(task)
                progress.advance(bar)
            return
        # Not a fork of this process: a child that inherits the locks of OpenCV's threads,
        # but not the threads, waits forever.
        context = multiprocessing.get_context('spawn')
        with ProcessPoolExecutor(workers, mp_context=context, initializer=_start,
                                 initargs=setup) as pool:
            # Ctrl-C goes to every process, but the parent alone answers it. A worker
            # inherits the blocked signal from its first moment on.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
            try:
                results = pool.map(_write, chunks)
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
            try:
                for done in results:
                    raise_noted_interrupt()
                    progress.advance(bar, done)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
