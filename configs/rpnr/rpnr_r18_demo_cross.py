# The second stage of RPNR on synthetic pedestrians: as many epochs, updates and images a step as
# that of BMIL, whose batches of two branches are twice 80. Twelve reliable images, of about 25
# visible and 16 infrared ones of a person.
_base_ = ['../bmil/bmil_r18_demo_m1.py']

model = dict(
    head=dict(
        branches=dict(
            _delete_=True,
            intra=dict(
                memory=dict(
                    type='ClusterMemory', mode='hybrid', temperature=0.05, momentum=0.1,
                    margin=0.2),
                losses=dict(relation=dict(type='NeighborRelationLoss', loss_weight=10.0))))))
train_dataloader = dict(sampler=dict(num_steps=160))
train_cfg = dict(max_epochs=8)
default_hooks = dict(
    pseudo_labels=dict(
        labellers=dict(
            _delete_=True,
            intra=dict(
                type='ClusterLabeller',
                partition={{_base_.default_hooks.pseudo_labels.labellers.intra.partition}},
                refine=[dict(type='PrototypeCalibration', num_reliable=12, threshold=0.5)],
                associate=dict(type='OptimalTransportMatching', reg=5.0),
                plan=dict(type='HybridMemories', cross_weight=0.25, hybrid_weight=0.5)))))
