"""Several processes on one computation: shares of rows, and work that only one of them does.

What is here is collective: every process has to make the same calls in the same order. In a
single process, with or without ``torch.distributed``, the functions do the obvious thing.
"""

import os
import pickle
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as torch_dist

from .errors import MainProcessError

#: How long a process waits for the main one. Not for ever, but longer than anything that is
#: worth waiting for: a process that dies closes its connections, which ends the wait at once.
MAIN_PROCESS_TIMEOUT = timedelta(days=7)

Result = TypeVar('Result')

#: The default group and the patient group made beside it.
_groups: tuple[Any, Any] | None = None


def num_processes() -> int:
    """Return how many processes there are, 1 without ``torch.distributed``."""
    if torch_dist.is_available() and torch_dist.is_initialized():
        return torch_dist.get_world_size()
    return 1


def patient_group() -> Any:
    """Return a gloo group of all processes that waits for days.

    The default group gives up after its time-out, ten minutes with NCCL, while the main
    process may cluster for longer. The group is made once, by all processes in their first
    common call, and again if the default group is another one.

    Returns:
        ProcessGroup: the group; for CPU tensors only.
    """
    global _groups
    default = torch_dist.group.WORLD
    if _groups is None or _groups[0] is not default:
        _groups = default, torch_dist.new_group(backend='gloo', timeout=MAIN_PROCESS_TIMEOUT)
    return _groups[1]


def leave_process_group() -> None:
    """Leave all groups of processes; do nothing where there is none.

    To be called once, after the work. MMEngine never does, and NCCL complains about it.
    """
    global _groups
    _groups = None
    if torch_dist.is_available() and torch_dist.is_initialized():
        torch_dist.destroy_process_group()


def complete_rows(rows: torch.Tensor, bounds: Sequence[int]) -> None:
    """Fill in the rows that other processes have computed, in place.

    Tensors on a GPU travel by NCCL if the default group does, all others by gloo.

    Args:
        rows: shape ``(N, ...)``, contiguous, the same shape on every process; rank r has
            filled rows ``bounds[r]`` to ``bounds[r + 1] - 1``.
        bounds: one number more than processes, ascending from 0 to N.
    """
    direct = rows.is_cuda and 'nccl' in torch_dist.get_backend()
    group = None if direct else patient_group()
    buffer = rows if direct else rows.cpu()
    for rank in range(len(bounds) - 1):
        part = buffer[bounds[rank]:bounds[rank + 1]]
        if len(part):
            torch_dist.broadcast(part, rank, group=group)
    if buffer is not rows:
        rows.copy_(buffer)


def main_process_computes(function: Callable[[], Result]) -> Result:
    """Call a function on rank 0 only and return its result on every rank.

    The others wait as long as it takes, whatever the time-out of the default group. An
    error on rank 0 is raised on all ranks.

    Args:
        function: takes nothing; its result can be pickled.

    Returns:
        The result; rank 0 has the very object, the others a copy.

    Raises:
        MainProcessError: on the other ranks, if the function raised an error on rank 0, with
            its type and message. Rank 0 raises the error itself.
    """
    if num_processes() == 1:
        return function()
    group = patient_group()
    if torch_dist.get_rank() == 0:
        try:
            result = function()
            # Here rather than in the broadcast: what cannot be pickled must not leave the
            # others waiting either.
            message = pickle.dumps((True, result), protocol=pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            failure = f'{type(error).__name__} on the main process: {error}'
            torch_dist.broadcast_object_list([pickle.dumps((False, failure))], 0, group=group)
            raise
        torch_dist.broadcast_object_list([message], 0, group=group)
        return result
    received = [None]
    torch_dist.broadcast_object_list(received, 0, group=group)
    succeeded, answer = pickle.loads(received[0])
    if not succeeded:
        raise MainProcessError(answer)
    return answer


#: Launcher -> variables in which it tells a process its rank and how many there are.
_LAUNCHERS = {
    'pytorch': ('RANK', 'WORLD_SIZE'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS'),
    'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE'),
}


def launched_processes(launcher: str) -> tuple[int, int]:
    """Tell which process this is and how many there are, before they have joined a group.

    Args:
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'.

    Returns:
        The rank, and the number of processes.
    """
    if launcher not in _LAUNCHERS:
        return 0, 1
    rank, number = _LAUNCHERS[launcher]
    return int(os.environ.get(rank, 0)), int(os.environ.get(number, 1))
