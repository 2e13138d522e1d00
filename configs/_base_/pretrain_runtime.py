"""Runtime of pretraining without labels: by epochs, with its monitors.

The monitors write to the work directory: ``vis/composed_pairs_*.png`` (what
the model sees), ``vis/similarity_maps_*.png`` (what it tells apart),
``curves.png`` and ``unreadable_images.txt``. A training whose features
collapse, or that cannot work, is stopped with a message.
"""

default_scope = 'mmseg'

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=3),
    sampler_seed=dict(type='DistSamplerSeedHook'),
)
custom_hooks = [
    dict(type='mmcp.CP2CheckHook'),
    dict(type='mmcp.MidEpochResumeHook'),
    dict(type='mmcp.UnreadableImagesHook'),
    dict(type='mmcp.ComposedPairsHook'),
    dict(type='mmcp.SimilarityMapHook'),
    dict(type='mmcp.CollapseHook'),
    dict(type='mmcp.CurvesHook'),
]

env_cfg = dict(
    # All images of a training have one size.
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(
    type='Visualizer', vis_backends=vis_backends, name='visualizer'
)
log_processor = dict(
    type='LogProcessor',
    window_size=50,
    by_epoch=True,
    # Accuracies and cosines of single batches would say little.
    mean_pattern=r'.*(loss|time|grad_norm|acc|cos|std).*',
)
log_level = 'INFO'
load_from = None
resume = False
randomness = dict(seed=None, diff_rank_seed=True)
