from mmcp.engine.dataset_arguments import argument_of


class Base:
    def __init__(self, suffix='.png', folder='images'):
        pass


class Derived(Base):
    def __init__(self, suffix='.jpg', **kwargs):
        pass


def test_config_comes_before_the_class_and_its_bases():
    assert argument_of(dict(suffix='.bmp'), Derived, 'suffix') == '.bmp'
    assert argument_of({}, Derived, 'suffix') == '.jpg'
    assert argument_of({}, Derived, 'folder') == 'images'
    assert argument_of({}, Base, 'suffix') == '.png'
    assert argument_of({}, Derived, 'other') == ''
