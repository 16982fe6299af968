# AGW tested with and without k-reciprocal re-ranking; the training is the same.
_base_ = ['./agw_r50_81e_sysu.py']

test_evaluator = dict(
    rankings=dict(
        base=dict(descriptor='base'),
        k_reciprocal=dict(
            descriptor='base', post=[dict(type='KReciprocalReRanking', k1=20, k2=6)])))
