# M2 of the paper's ablation: naive global clustering, one prototype per cluster.
stages = ['bmil_r18_demo_m1.py', 'bmil_r18_demo_cross_m2.py']
