# DART: two networks of AGW with nothing in common; the loss of each trusts a label as far as
# the other does. Searched by the mean of both descriptors, without flip averaging.
_base_ = ['./agw_r50.py']

model = dict(
    type='CoTeachingReIdentifier',
    num_members=2,
    head=dict(
        type='DARTHead',
        metric_loss=dict(
            _delete_=True,
            type='AdaptiveQuadrupletLoss',
            margin=0.3,
            threshold=0.5,
            max_positive_redraws=5,
            max_negative_skips=10)))
# A batch trains one of the two.
find_unused_parameters = True

# The members take turns; it takes the place of the dataset's own type of sampler.
co_teaching_sampler = dict(
    type='CoTeachingSampler',
    extra_step=True,
    min_images=4,
    num_members='${model.num_members}',
    warmup_epochs=1)
