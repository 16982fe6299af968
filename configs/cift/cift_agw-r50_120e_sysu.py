# CIFT as a plug-in: its head on the network of AGW (two stems, non-local blocks, GeM),
# AGW's triplet loss kept.
_base_ = ['./cift_r50_120e_sysu.py']

model = dict(
    backbone=dict(
        modality_specific='stem',
        non_local=dict(blocks=(0, 2, 3, 0), inter_channels=1)),
    neck=dict(_delete_=True, type='GeneralizedMeanPooling', p=3.0),
    head=dict(metric_loss=dict(type='WeightedRegularizedTripletLoss')))
