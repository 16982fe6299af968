# M3 of the paper's ablation: bias-mitigated global clustering, one prototype per cluster.
stages = ['bmil_r18_demo_m1.py', 'bmil_r18_demo_cross_m3.py']
