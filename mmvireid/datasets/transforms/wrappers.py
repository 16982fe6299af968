"""Transforms made of transforms."""

from collections.abc import Callable, Sequence

from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose

from mmvireid.registry import TRANSFORMS
from mmvireid.structures import Modality
from mmvireid.utils.errors import ConfigError

Transform = dict | Callable[[dict], dict]


def _compose(transforms: Sequence[Transform]) -> Compose:
    return Compose([t if callable(t) else TRANSFORMS.build(t) for t in transforms])


@TRANSFORMS.register_module()
class ByModality(BaseTransform):
    """Apply one list of transforms to visible images and another to infrared ones.

    Required keys: ``modality`` and what the transforms need.

    Args:
        visible: transforms of visible images.
        infrared: transforms of infrared images.

    Examples:
        >>> import numpy as np
        >>> from mmvireid.datasets import ByModality
        >>> from mmvireid.structures import Modality
        >>> grey = ByModality(visible=[dict(type='ChannelExchange')])
        >>> image = np.array([[[10, 20, 30]]], np.uint8)
        >>> grey(dict(img=image, modality=Modality.INFRARED))['img'].tolist()
        [[[10, 20, 30]]]
        >>> len(set(grey(dict(img=image, modality=Modality.VISIBLE))['img'].ravel().tolist()))
        1
    """

    def __init__(self,
                 visible: Sequence[Transform] = (),
                 infrared: Sequence[Transform] = ()) -> None:
        self.pipelines = {
            Modality.VISIBLE: _compose(visible),
            Modality.INFRARED: _compose(infrared)
        }

    def transform(self, results: dict) -> dict:
        """Apply the list that belongs to ``results['modality']``."""
        return self.pipelines[results['modality']](results)

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(visible={self.pipelines[Modality.VISIBLE]}, '
                f'infrared={self.pipelines[Modality.INFRARED]})')


@TRANSFORMS.register_module()
class MultiView(BaseTransform):
    """Make several views of one image, each by its own list of transforms.

    Every list starts from the same image; ``img`` becomes the list of views, in
    the order of ``views``. The views share one label: CAJ's visible images, for
    example, come plain and channel-exchanged.

    Required and modified key: ``img``.

    Args:
        views: one list of transforms per view.

    Examples:
        >>> import numpy as np
        >>> from mmvireid.datasets import MultiView
        >>> views = MultiView([[], [dict(type='ChannelExchange')]])
        >>> plain, exchanged = views(dict(img=np.array([[[10, 20, 30]]], np.uint8)))['img']
        >>> plain.tolist(), len(set(exchanged.ravel().tolist()))
        ([[[10, 20, 30]]], 1)
    """

    def __init__(self, views: Sequence[Sequence[Transform]]) -> None:
        if not views:
            raise ConfigError('MultiView needs at least one list of transforms')
        self.views = [_compose(view) for view in views]

    def transform(self, results: dict) -> dict:
        """Replace ``results['img']`` by its views."""
        outcomes: list[dict] = []
        for view in self.views:
            own = dict(results)
            own['img'] = results['img'].copy()
            outcomes.append(view(own))
        merged = outcomes[0]
        merged['img'] = [outcome['img'] for outcome in outcomes]
        return merged

    def __repr__(self) -> str:
        return f'{type(self).__name__}(views={self.views})'
