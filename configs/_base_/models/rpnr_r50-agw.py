# RPNR: the network of AGW, contrast with a mean and a hard prototype of each cluster.
_base_ = ['./cluster_contrast_r50-agw.py']

model = dict(
    head=dict(
        branches=dict(
            intra=dict(
                memory=dict(
                    _delete_=True, type='ClusterMemory', mode='hybrid', temperature=0.05,
                    momentum=0.1, margin=0.2)))))
