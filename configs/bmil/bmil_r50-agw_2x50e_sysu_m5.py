# M5 of the paper's ablation: subsets and split-and-contrast learning, naive clustering.
stages = ['bmil_r50-agw_50e_sysu_intra.py', 'bmil_r50-agw_50e_sysu_cross_m5.py']
