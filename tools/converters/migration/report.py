"""What a migration did, what it left alone and why."""

from dataclasses import dataclass, field


class CannotTranslate(Exception):
    """A part of a config that stays as it is; the message says why."""


@dataclass
class Report:
    """Remarks, each with the place in the config that it is about.

    Attributes:
        done: What was translated.
        left: What could not be, and why.
        notes: What a user should know about what was translated.
    """

    done: list[tuple[str, str]] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)

    def text(self) -> str:
        """All remarks as a list to be read."""
        sections = [
            ('Translated', self.done),
            ('Left as it was', self.left),
            ('To know', self.notes),
        ]
        lines = []
        for title, remarks in sections:
            places = dict.fromkeys(place for place, _ in remarks)
            lines += [f'{title}:'] if remarks else []
            for place in places:
                lines.append(f'  {place}')
                texts = dict.fromkeys(t for p, t in remarks if p == place)
                lines += [f'    - {text}' for text in texts]
        return '\n'.join(lines)


@dataclass(frozen=True)
class Options:
    """What the user asked for.

    Attributes:
        scope: The config's default scope; bare type names are of this one.
        add_copy_paste: Whether to add Copy-Paste where there is none.
        pad: Whether images may be padded to the output size.
        pad_value: BGR mean of the normalisation, for such padding.
        compat: Whether MMDetection's CopyPaste keeps its exact results.
    """

    scope: str = 'mmdet'
    add_copy_paste: bool = False
    pad: bool = False
    pad_value: tuple[int, ...] = (104, 116, 124)
    compat: bool = False

    def name_of(self, node: object) -> str:
        """Type of a config node, bare if it is MMDetection's.

        Args:
            node: A dict with ``type``, or anything else.

        Returns:
            E.g. 'Pad', 'mmcp.CopyPaste', 'mmyolo.Mosaic'; '' without a type.
        """
        name = node.get('type') if isinstance(node, dict) else None
        if not isinstance(name, str):
            return ''
        scope, dot, bare = name.rpartition('.')
        scope = scope if dot else self.scope
        return bare if scope in _MMDETECTION else f'{scope}.{bare}'


# MMDetection's registries fall back to these.
_MMDETECTION = ('mmdet', 'mmcv', 'mmengine')
