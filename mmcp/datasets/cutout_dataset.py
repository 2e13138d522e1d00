"""A folder of cut-outs as a source of objects."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmdet.datasets import BaseDetDataset
from mmengine import fileio

from mmcp.datasets.image_folder import (
    check_files,
    list_images,
    require_folder,
)
from mmcp.datasets.transforms.load_cutouts import read_cutout
from mmcp.datasets.transforms.randomness import worker_rng
from mmcp.engine.nearest import did_you_mean
from mmcp.registry import DATASETS

__all__ = ['CutoutDataset']

Box = list[float]


@DATASETS.register_module()
class CutoutDataset(BaseDetDataset):  # type: ignore[misc]
    """Cut-outs, images with transparency, in one folder for each class.

    A source for :class:`mmcp.CopyPasteDataset`, with any data set or a
    :class:`mmcp.BackgroundDataset` as destination::

        cutouts/
            apple/  0001.png  0002.webp ...
            pear/   ...

    An image is one object: its pixels with an alpha of at least 128. The
    pipeline begins with :class:`mmcp.LoadCutouts` and
    :class:`mmcp.PlaceCutouts`, which gives every cut-out a random size and
    place on a canvas; what follows sees an ordinary sample. Everything random
    follows numpy's global state, which ``CopyPasteDataset`` seeds.

    Files that are unreadable, have no alpha channel or are fully transparent
    are left out, with one warning that counts them.

    Args:
        data_root: The folder. Defaults to '', meaning that
            ``data_prefix['img']`` alone is its path.
        metainfo: With ``classes``, where their order matters or some have no
            cut-outs. Defaults to None, meaning that the sub-folders, sorted,
            are the classes.
        data_prefix: With ``img``, the folder below ``data_root``. Defaults to
            None, meaning ``data_root`` itself.
        num_cutouts: How many cut-outs a sample has: a number or
            ``(low, high)``, uniform with both ends. The first is the one
            asked for, the others are drawn from all. Defaults to 1.
        verify: Whether to decode every file at the start, eight at a time. If
            not, a bad file is replaced by another when it is met, and the
            annotations have no box. Defaults to True.
        **kwargs: Other arguments of ``BaseDetDataset``: ``pipeline``,
            ``indices``, ``backend_args``, ``test_mode``, ``lazy_init`` ...

    Raises:
        FileNotFoundError: If the folder does not exist.
        ValueError: If it has no sub-folders or no usable cut-out, or if a
            sub-folder is not one of ``metainfo['classes']``.
    """

    def __init__(
        self,
        data_root: str = '',
        metainfo: Mapping[str, Any] | None = None,
        data_prefix: Mapping[str, str] | None = None,
        *,
        num_cutouts: int | Sequence[int] = 1,
        verify: bool = True,
        **kwargs: Any,
    ) -> None:
        self.num_cutouts = _parse_count(num_cutouts)
        self.verify = verify
        super().__init__(
            data_root=data_root,
            metainfo=metainfo,
            data_prefix=dict(data_prefix or {'img': ''}),
            **kwargs,
        )

    def _join_prefix(self) -> None:
        """Joins the paths; the classes are then known before the files."""
        super()._join_prefix()
        if 'classes' not in self._metainfo:
            self._metainfo['classes'] = tuple(self._class_folders())

    def _class_folders(self) -> list[str]:
        folder = self.data_prefix['img']
        require_folder(folder, self.backend_args)
        found = fileio.list_dir_or_file(
            folder, list_file=False, backend_args=self.backend_args
        )
        folders = sorted(found)
        if not folders:
            raise ValueError(
                f"'{folder}' has no sub-folders; put the cut-outs of each "
                'class into a folder with the name of the class'
            )
        return folders

    def load_data_list(self) -> list[dict[str, Any]]:
        """Lists the cut-outs.

        Returns:
            For each a dict with ``img_path``, ``img_id`` and ``instances``,
            one dict with ``bbox_label``, ``ignore_flag`` and, if verified,
            ``bbox``, the object in its file, ``xyxy``.

        Raises:
            FileNotFoundError: If the folder does not exist.
            ValueError: If a sub-folder is no class or no file is usable.
        """
        folder = self.data_prefix['img']
        labels = self._labels()
        # An image beside the class folders belongs to no class.
        paths = [
            path
            for path in list_images(folder, self.backend_args)
            if _class_of(path) in labels
        ]
        boxes: dict[str, Box | None] = dict.fromkeys(paths)
        if self.verify:
            boxes = check_files(folder, paths, self._box_of)
        if not boxes:
            raise ValueError(
                f"no file of '{folder}' is a cut-out; each must be an image "
                'with an alpha channel, such as a PNG, in the folder of its '
                'class'
            )
        return [
            self._data_info(number, path, labels[_class_of(path)], box)
            for number, (path, box) in enumerate(boxes.items())
        ]

    def _labels(self) -> dict[str, int]:
        classes = self._metainfo['classes']
        for name in self._class_folders():
            if name not in classes:
                raise ValueError(
                    f"the sub-folder '{name}' of '{self.data_prefix['img']}' "
                    "is not one of metainfo['classes']."
                    f'{did_you_mean(name, classes)}'
                )
        return {name: label for label, name in enumerate(classes)}

    def _box_of(self, path: str) -> Box:
        cutout = read_cutout(self._full_path(path), self.backend_args)
        return [float(value) for value in cutout.box]

    def _full_path(self, path: str) -> str:
        joined: str = fileio.join_path(
            self.data_prefix['img'], path, backend_args=self.backend_args
        )
        return joined

    def _data_info(
        self, number: int, path: str, label: int, box: Box | None
    ) -> dict[str, Any]:
        instance: dict[str, Any] = dict(bbox_label=label, ignore_flag=0)
        if box is not None:
            instance['bbox'] = box
        return dict(
            img_path=self._full_path(path), img_id=number, instances=[instance]
        )

    def prepare_data(self, idx: int) -> Any:
        """Makes a sample of one cut-out, and others if asked for.

        Args:
            idx: Index of the first cut-out.

        Returns:
            What the pipeline gives.
        """
        info = self.get_data_info(idx)
        rng = worker_rng()
        low, high = self.num_cutouts
        count = int(rng.integers(low, high + 1)) - 1
        others = rng.integers(len(self), size=count)
        infos = [info, *(self.get_data_info(int(i)) for i in others)]
        info['cutouts'] = [
            dict(
                img_path=each['img_path'],
                bbox_label=each['instances'][0]['bbox_label'],
            )
            for each in infos
        ]
        return self.pipeline(info)


def _parse_count(num_cutouts: int | Sequence[int]) -> tuple[int, int]:
    if isinstance(num_cutouts, int):
        num_cutouts = (num_cutouts, num_cutouts)
    low, high = num_cutouts
    if not 1 <= low <= high:
        raise ValueError(
            'num_cutouts must be a number >= 1 or (low, high) with '
            f'1 <= low <= high, but is {num_cutouts!r}'
        )
    return int(low), int(high)


def _class_of(path: str) -> str:
    """First folder of a relative path; '' without one."""
    folder, slash, _ = path.replace('\\', '/').partition('/')
    return folder if slash else ''
