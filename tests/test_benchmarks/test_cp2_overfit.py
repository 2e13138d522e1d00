"""The training on 64 photographs: what is read off its curves."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'benchmarks' / 'studies'))

import cp2_overfit as study  # noqa: E402

GOOD = {name: (1.0, 2.0) for name in study.SHOWN} | dict(
    cos_fg_bg=(1.0, 1.5), std_pooled=(0.02, 0.08)
)


def test_ends_are_means_over_the_first_and_last_steps():
    curve = [(step, float(step > 50)) for step in range(2, 101, 2)]
    ends = study.ends_of({name: curve for name in study.SHOWN})
    assert ends == {name: (0.0, 1.0) for name in study.SHOWN}


@pytest.mark.parametrize(
    ('change', 'failing'),
    [
        ({}, None),
        (dict(acc_instance=(10.0, 9.0)), 'instance accuracy'),
        (dict(cos_fg_fg=(0.5, 1.4)), 'foreground is closer'),
        (dict(std_pooled=(0.08, 0.02)), 'no collapse'),
    ],
)
def test_what_is_asked(change, failing):
    checks = study.verdicts(GOOD | change)
    wrong = [text for text, good in checks.items() if not good]
    assert len(wrong) == (failing is not None)
    assert all(text.startswith(failing) for text in wrong)
    page = study.markdown(GOOD | change, checks, 100)
    assert page.count('**no**') == len(wrong)


def test_a_short_run_writes_its_report(tmp_path):
    images = tmp_path / 'images'
    images.mkdir()
    rng = np.random.default_rng(0)
    for number in range(70):
        image = rng.integers(0, 256, (40, 50, 3), np.uint8)
        cv2.imwrite(str(images / f'{number}.jpg'), image)
    out = tmp_path / 'out'
    words = ['--images', str(images), '--epochs', '2', '--out', str(out)]
    code = study.main(words)
    record = json.loads((out / 'cp2_overfit.json').read_text())
    assert [step for step, _ in record['curves']['loss_dense']] == [2, 4]
    assert code == (not all(record['checks'].values()))
    assert '4 steps' in (out / 'cp2_overfit.md').read_text()
    assert (out / 'cp2_overfit.png').read_bytes().startswith(b'\x89PNG')


def test_too_few_images(tmp_path):
    cv2.imwrite(str(tmp_path / '0.png'), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(SystemExit, match='has 1 images; 64 are needed'):
        study.main(['--images', str(tmp_path)])


def test_the_recorded_training_has_learnt():
    record = json.loads(
        (ROOT / 'docs' / 'results' / 'cp2_overfit.json').read_text()
    )
    ends = study.ends_of(record['curves'])
    assert all(study.verdicts(ends).values())
    page = (ROOT / 'docs' / 'results' / 'cp2_overfit.md').read_text()
    for start, end in ends.values():
        assert f'| {start:.3f} | {end:.3f} |' in page
