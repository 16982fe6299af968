"""One HTML file that says how good a model is and where it fails."""

from .collect import collect_report
from .hook import ReportHook
from .page import render_report
from .thumbnails import Thumbnails, encode_thumbnails

__all__ = ['ReportHook', 'Thumbnails', 'collect_report', 'encode_thumbnails', 'render_report']
