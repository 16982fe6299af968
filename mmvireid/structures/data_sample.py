"""What a batch knows about one image."""

from enum import IntEnum

from mmengine.structures import BaseDataElement


class Modality(IntEnum):
    """Modality of an image; the order visible, infrared holds everywhere."""

    VISIBLE = 0
    INFRARED = 1


class ReIDDataSample(BaseDataElement):
    """Annotation and prediction of one image of a person.

    Annotations are metainfo and therefore cheap to carry between processes:

    * ``img_path`` (str): path of the image file.
    * ``sample_idx`` (int): index of the image in its dataset; unique.
    * ``identity`` (int): identity number as the dataset writes it.
    * ``label`` (int): identity renumbered 0 .. C-1 for training, -1 where unknown.
    * ``camera`` (int): camera number as the dataset writes it, 0 where unknown.
    * ``modality`` (int): a :class:`Modality`.
    * ``branch`` (str): the branch of pseudo labels that drew the image, in training on
      several; where several networks take turns, the one that trains.
    * ``view`` (int): which view of the image a row of a training batch is, from 0.

    A model's ``predict`` adds ``descriptors``, a dict from descriptor name to a
    tensor of shape ``(D,)``; ``descriptors['base']`` always exists.

    Examples:
        >>> import torch
        >>> from mmvireid.structures import Modality, ReIDDataSample
        >>> sample = ReIDDataSample(metainfo=dict(
        ...     img_path='cam3/0006/0001.jpg', sample_idx=0, identity=6, label=-1,
        ...     camera=3, modality=int(Modality.INFRARED)))
        >>> sample.descriptors = dict(base=torch.zeros(4))
        >>> sample.camera
        3
    """
