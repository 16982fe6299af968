# M5 of the paper's ablation: subsets and split-and-contrast learning, naive clustering.
stages = ['bmil_r18_demo_intra.py', 'bmil_r18_demo_cross_m5.py']
