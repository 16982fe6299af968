# M4 of the paper's ablation: subsets and bias-mitigated global clustering, one prototype per
# cluster.
stages = ['bmil_r18_demo_intra.py', 'bmil_r18_demo_cross_m4.py']
