# M2 of the paper's ablation: naive global clustering, one prototype per cluster.
stages = ['bmil_r50-agw_50e_sysu_m1.py', 'bmil_r50-agw_50e_sysu_cross_m2.py']
