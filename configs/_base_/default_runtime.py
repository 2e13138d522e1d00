"""Runtime of iteration-based training: MMDetection's, counted in steps."""

_base_ = 'mmdet::_base_/default_runtime.py'

default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=5000, max_keep_ckpts=2)
)
log_processor = dict(by_epoch=False)
# Without it every rank starts from the same seed, and data loaded in the
# training process (num_workers=0) would be augmented alike on all of them.
randomness = dict(seed=None, diff_rank_seed=True)

val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
