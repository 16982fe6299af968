# The second stage of N-ULC on synthetic pedestrians: as many epochs, updates and images a step as
# that of BMIL, whose batches of two branches are twice 80. Twenty neighbours, of about 25
# visible and 16 infrared images of a person.
_base_ = ['../bmil/bmil_r18_demo_m1.py']

model = dict(
    head=dict(
        branches=dict(
            _delete_=True,
            intra=dict(
                memory=dict(
                    type='ClusterMemory', mode='mean', mean_update='sample', temperature=0.05,
                    momentum=0.2, margin=0.0)))))
train_dataloader = dict(sampler=dict(num_steps=160))
train_cfg = dict(max_epochs=8)
default_hooks = dict(
    pseudo_labels=dict(
        labellers=dict(
            _delete_=True,
            intra=dict(
                type='ClusterLabeller',
                partition={{_base_.default_hooks.pseudo_labels.labellers.intra.partition}},
                associate=dict(type='ProgressiveGraphMatching'),
                plan=dict(
                    type='NeighborSoftMemories', cross_weight=3.0, num_neighbors=20, balance=0.7,
                    scale=10.0)))))
