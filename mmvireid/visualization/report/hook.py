"""A report as the last step of a test."""

from collections.abc import Sequence
from pathlib import Path

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmvireid.registry import HOOKS
from mmvireid.utils.files import write_atomically
from mmvireid.utils.records import read_record_if_complete

from .collect import collect_report
from .page import render_report


@HOOKS.register_module()
class ReportHook(Hook):
    """Write a self-contained HTML report after a test.

    It shows the evaluator's first metric: numbers of every setting and trial, and for the
    first trial of some settings what was found for each query.

    Args:
        out_file: the HTML file; ``<work_dir>/report.html`` when None.
        title: what was tested; the name of the work directory when None.
        notes: short lines below the title.
        explore: settings whose queries are shown; the first when None.
        topk: gallery images shown for each query.
        max_megabytes: the file is smaller than this; thumbnails shrink accordingly.
        clustering_file: ``clustering.json`` of an unsupervised run.
    """

    priority = 'LOW'
    only_watches = True

    def __init__(self,
                 out_file: str | None = None,
                 title: str | None = None,
                 notes: Sequence[str] = (),
                 explore: Sequence[str] | None = None,
                 topk: int = 10,
                 max_megabytes: float = 20,
                 clustering_file: str | None = None) -> None:
        self.out_file = out_file
        self.title = title
        self.notes = notes
        self.explore = explore
        self.topk = topk
        self.max_megabytes = max_megabytes
        self.clustering_file = clustering_file

    @master_only
    def after_test_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Write the report and log its path."""
        clustering = None
        if self.clustering_file:
            clustering = read_record_if_complete(Path(self.clustering_file))
        data, paths = collect_report(
            runner.test_evaluator.metrics[0], explore=self.explore, topk=self.topk,
            clustering=clustering)
        page = render_report(
            data, paths, title=self.title or Path(runner.work_dir).name, notes=self.notes,
            max_bytes=int(1e6 * self.max_megabytes)).encode()
        path = Path(self.out_file or Path(runner.work_dir) / 'report.html').resolve()
        write_atomically(page, path)
        runner.logger.info(f'report ({len(page) / 1e6:.1f} MB): {path}')
