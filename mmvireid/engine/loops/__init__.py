"""Training loops."""

from .staged_train_loop import Stage, StagedTrainLoop

__all__ = ['Stage', 'StagedTrainLoop']
