"""MMEngine's backend for local files, whole or not at all."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.visualization import LocalVisBackend as MMEngineLocalVisBackend
from mmengine.visualization.vis_backend import force_init_env
from PIL import Image

from mmvireid.registry import VISBACKENDS
from mmvireid.utils.files import described_write_errors, write_atomically


@VISBACKENDS.register_module()
class LocalVisBackend(MMEngineLocalVisBackend):
    """Write numbers, pictures and the config of a run to its folder.

    MMEngine's own backend leaves half a file where a run is killed or the disk is full, and
    does not notice that a picture could not be written.

    Args:
        **kwargs: those of :class:`mmengine.visualization.LocalVisBackend`.
    """

    @force_init_env
    def add_config(self, config: Config, **kwargs: Any) -> None:
        """Save the config.

        Args:
            config: of the run.
            **kwargs: no difference.
        """
        write_atomically(config.pretty_text.encode(), self._config_save_file)

    @force_init_env
    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs: Any) -> None:
        """Save a picture.

        Args:
            name: what it shows, the beginning of the file's name.
            image: uint8 RGB of shape ``(H, W, 3)``.
            step: epoch or iteration.
            **kwargs: no difference.
        """
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, 'PNG')
        write_atomically(buffer.getvalue(), Path(self._img_save_dir) / f'{name}_{step}.png')

    def _dump(self, value_dict: dict, file_path: str | os.PathLike, file_format: str) -> None:
        with described_write_errors(file_path):
            super()._dump(value_dict, file_path, file_format)
