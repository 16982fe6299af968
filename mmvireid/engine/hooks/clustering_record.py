"""What the clustering of each epoch has found, in the log and in a file."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from mmengine.dist import is_main_process
from mmengine.runner import Runner

from mmvireid.clustering import ClusterReport, cluster_report
from mmvireid.structures import Modality, PseudoLabels
from mmvireid.utils.files import write_atomically
from mmvireid.utils.records import read_record_if_complete

from .records import record_of_resumed_run

#: Name of the file in the work directory.
FILE = 'clustering.json'
#: What is drawn as curves.
CURVES = ('clusters', 'mixed', 'outliers', 'linked', 'ari', 'nmi', 'purity')


class ClusteringRecord:
    """Keep one row for each epoch, branch and, where they are clustered apart, modality.

    Clusters of one modality that have been matched with those of the other have a further
    row, of what is then together. Each row has the notes of its labeller
    (:class:`mmvireid.structures.PseudoLabels`).

    A row describes what was found, also where it was not fit to learn from (``failed``). Where
    the dataset knows identities the clusters are compared with them, for the reader alone.

    Args:
        runner: the run. One that is resumed goes on with the record of the earlier one.
        compare: whether to compare with identities.
    """

    def __init__(self, runner: Runner, compare: bool = True) -> None:
        self._identities = (
            np.asarray(runner.train_dataloader.dataset.identities) if compare else None)
        path = record_of_resumed_run(runner, FILE)
        rows = (read_record_if_complete(path) or []) if path is not None else []
        self._rows = [row for row in rows if row['epoch'] <= runner.epoch]

    def add(self, runner: Runner, modality: np.ndarray, found: dict[str, PseudoLabels],
            seconds: dict[str, dict[str, float]]) -> None:
        """Write an epoch to the log, to the visualiser and to the file.

        Args:
            runner: the run.
            modality: shape ``(N,)``, 0 visible, 1 infrared.
            found: branch -> what the labeller made of this epoch's features.
            seconds: branch -> what each part took.
        """
        rows = [
            dict(epoch=runner.epoch + 1, branch=name, modality=which,
                 failed=labels.failure is not None, **asdict(report),
                 notes=dict(labels.notes), seconds=seconds[name])
            for name, labels in found.items()
            for which, report in self._reports(labels, modality).items()
        ]
        runner.logger.info(f'Clusters of epoch {runner.epoch + 1}\n{format_rows(rows)}')
        runner.visualizer.add_scalars(
            {
                f'clustering/{row["branch"]}_{row["modality"]}/{key}': row[key]
                for row in rows for key in CURVES if row[key] is not None
            } | {
                f'clustering/{name}/{note}': value
                for name, labels in found.items() for note, value in labels.notes.items()
            },
            step=runner.epoch + 1)
        self._rows += rows
        if is_main_process():
            write_atomically(
                json.dumps(self._rows, indent=1).encode(), Path(runner.work_dir) / FILE)

    def _reports(self, found: PseudoLabels, modality: np.ndarray) -> dict[str, ClusterReport]:
        """Describe clusters: as a whole, or by modality where they were made apart."""
        considered = (
            np.ones(len(modality), bool) if found.considered is None else found.considered)
        whole = cluster_report(found.labels, modality, considered, self._identities)
        if whole.mixed or not found.separate:
            return dict(both=whole)
        apart = {
            m.name.lower(): cluster_report(
                found.labels, modality, considered & (modality == m), self._identities)
            for m in Modality
        }
        if found.joined is None:
            return apart
        return {**apart, 'both': cluster_report(
            found.joined, modality, considered, self._identities)}


def format_rows(rows: list[dict]) -> str:
    """Lay the record of an epoch out as a table.

    Args:
        rows: records as in ``clustering.json``.

    Returns:
        str: header and one line for each row.
    """
    lines = [f'{"branch":<20}{"clusters":>9}{"mixed":>7}{"outliers":>14}{"linked %":>10}'
             f'{"ARI":>7}{"NMI":>7}{"purity %":>10}   seconds']
    for row in rows:
        seconds = ', '.join(f'{part} {value:.1f}' for part, value in row['seconds'].items())
        outliers = f'{row["outliers"]}/{row["images"]}'
        lines.append(
            f'{row["branch"] + " " + row["modality"]:<20}{row["clusters"]:>9}{row["mixed"]:>7}'
            f'{outliers:>14}{row["linked"]:>10.1f}{_number(row["ari"], 7, 3)}'
            f'{_number(row["nmi"], 7, 3)}{_number(row["purity"], 10, 1)}   {seconds}'
            f'{"   failed, not used" if row["failed"] else ""}')
    # Notes are of a branch as a whole.
    for branch, notes in {row['branch']: row['notes'] for row in rows}.items():
        if notes:
            lines.append(f'{branch}: ' + ', '.join(
                f'{name} {value:g}' for name, value in notes.items()))
    return '\n'.join(lines)


def _number(value: float | None, width: int, digits: int) -> str:
    return f'{"-":>{width}}' if value is None else f'{value:>{width}.{digits}f}'
