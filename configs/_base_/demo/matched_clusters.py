# The second stage of the methods that match clusters, on the synthetic pedestrians of BMIL's
# demo: as many epochs, updates and images a step as that of BMIL, whose batches of two branches
# are twice 80.
_base_ = ['../../bmil/bmil_r18_demo_m1.py']

model = dict(
    head=dict(
        branches=dict(
            _delete_=True, intra=dict(memory=dict(type='ClusterMemory', temperature=0.05)))))
train_dataloader = dict(sampler=dict(num_steps=160))
train_cfg = dict(max_epochs=8)
default_hooks = dict(
    pseudo_labels=dict(
        labellers=dict(
            _delete_=True,
            intra=dict(
                type='ClusterLabeller',
                partition={{_base_.default_hooks.pseudo_labels.labellers.intra.partition}}))))
