"""The sample's categories: names, palette, usual texture, long tail."""

from typing import NamedTuple


class Category(NamedTuple):
    """One category of the sample.

    Attributes:
        name: Its name, and the name of its outline in `mmcp.demo.shapes`.
        colour: Where masks and semantic maps are drawn, RGB. Objects
            themselves have random colours.
        texture: Pattern that most of its objects carry, a name of
            `mmcp.demo.textures.TEXTURES`.
        train: Objects in 60 training (or unlabelled) images.
        val: Objects in 48 validation images, the tail less thin.
    """

    name: str
    colour: tuple[int, int, int]
    texture: str
    train: int
    val: int


CATEGORIES = (
    Category('star', (230, 159, 0), 'sectors', 120, 60),
    Category('ring', (86, 180, 233), 'stripes', 90, 52),
    Category('triangle', (0, 158, 115), 'gradient', 67, 45),
    Category('cross', (240, 228, 66), 'checks', 50, 39),
    Category('heart', (213, 94, 0), 'dots', 38, 34),
    Category('box', (0, 114, 178), 'bricks', 28, 29),
    Category('arrow', (204, 121, 167), 'zigzag', 21, 25),
    Category('disc', (148, 103, 189), 'circles', 12, 19),
    Category('crescent', (140, 86, 75), 'marble', 7, 14),
    Category('gear', (23, 190, 207), 'grid', 4, 11),
)

CLASSES = tuple(category.name for category in CATEGORIES)
PALETTE = [category.colour for category in CATEGORIES]
# What a config writes out as `metainfo`.
METAINFO = {'classes': CLASSES, 'palette': PALETTE}
