# The second stage of ADCA on synthetic pedestrians: as many epochs, updates and images a step as
# that of BMIL, whose batches of two branches are twice 80.
_base_ = ['../bmil/bmil_r18_demo_m1.py']

model = dict(
    head=dict(
        branches=dict(
            _delete_=True,
            intra=dict(
                memory=dict(
                    type='ClusterMemory', mode='mean', mean_update='sample', temperature=0.05,
                    momentum=0.1, margin=0.0)))))
train_dataloader = dict(sampler=dict(num_steps=160))
train_cfg = dict(max_epochs=8)
default_hooks = dict(
    pseudo_labels=dict(
        labellers=dict(
            _delete_=True,
            intra=dict(
                type='ClusterLabeller',
                partition={{_base_.default_hooks.pseudo_labels.labellers.intra.partition}},
                associate=dict(type='VoteMatching', threshold=0.5),
                plan=dict(type='AggregatedMemories', keep=0.1, normalize=False)))))
