"""The accuracy of nearest neighbours in a training."""

import shutil

import pytest
from labeled_colours import write_labelled
from toy_pairs import make_runner, small_cp2, small_moco

from mmcp.engine.config import UsageError
from mmcp.engine.hooks import KNNHook
from mmcp.visualization import read_scalars


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return write_labelled(tmp_path_factory.mktemp('labelled'))


def hook(folder, **options):
    defaults = dict(size=32, k=3, interval=1, batch_size=4, num_workers=0)
    return KNNHook(str(folder), **defaults | options)


@pytest.mark.parametrize('kind', ['CP2', 'MoCo'])
def test_it_is_logged_before_the_training_and_every_few_epochs(
    tmp_path, folder, kind
):
    model, masks = (None, True) if kind == 'CP2' else (small_moco(), False)
    knn = hook(folder, interval=2)
    runner = make_runner(tmp_path, knn, model=model, masks=masks, epochs=3)
    runner.train()
    points = read_scalars(tmp_path)['knn/top1']
    # After epochs 2 and, since the training ends, 3.
    assert [step for step, _ in points] == [0, 6, 9]
    assert all(60 <= value <= 100 for _, value in points)


def test_by_iteration_and_not_again_when_resuming(tmp_path, folder):
    save = dict(type='CheckpointHook', interval=2, by_epoch=False)
    for iterations in (2, 4):
        knn = hook(folder, by_epoch=False, interval=2)
        make_runner(
            tmp_path, knn, save, iterations=iterations, resume=iterations > 2
        ).train()
    scalars = read_scalars(tmp_path)
    assert [step for step, _ in scalars['knn/top1']] == [0, 2, 4]


def test_it_is_the_backbone_of_the_query_encoder_in_evaluation(
    tmp_path, folder
):
    model = small_cp2()
    model['backbone']['norm_eval'] = True
    runner = make_runner(tmp_path, hook(folder), model=model)
    backbone = runner.model.encoder_q.backbone
    modes = []
    backbone.register_forward_hook(
        lambda module, *_: modes.append((module.training, module.bn1.training))
    )
    runner.train()
    # 4 batches to know and 3 to classify, before and after 3 iterations.
    once = [(False, False)] * (4 + 3)
    assert modes == [*once, *[(True, False)] * 3, *once]


def test_limits(tmp_path, folder):
    knn = hook(folder, max_train=6, max_val=3)
    make_runner(tmp_path, knn).train()
    assert len(knn._evaluator.bank) == 6
    assert len(knn._evaluator.queries) == 3


def test_an_archive_will_do(tmp_path, folder):
    for part in ('train', 'val'):
        shutil.make_archive(tmp_path / part, 'tar', folder / part)
    knn = hook(tmp_path, train='train.tar', val='val.tar')
    make_runner(tmp_path / 'work', knn).train()
    plain = hook(folder)
    make_runner(tmp_path / 'plain', plain).train()
    assert (
        read_scalars(tmp_path / 'work')['knn/top1']
        == read_scalars(tmp_path / 'plain')['knn/top1']
    )


def test_too_few_images_and_other_classes_are_told_at_once(tmp_path, folder):
    runner = make_runner(tmp_path, hook(folder, k=16))
    with pytest.raises(UsageError, match='k=16 neighbours.*has 15 images'):
        runner.train()
    swapped = hook(folder, train='train/blue', val='val')
    with pytest.raises(UsageError, match='KNNHook.*class'):
        make_runner(tmp_path, swapped).train()
    with pytest.raises(FileNotFoundError, match='nowhere'):
        make_runner(tmp_path, hook(folder, val='nowhere')).train()


@pytest.mark.parametrize(
    'name', ['k', 'temperature', 'max_train', 'max_val', 'size', 'interval']
)
def test_bad_arguments(name):
    with pytest.raises(ValueError, match=name):
        KNNHook('data', **{name: 0})
