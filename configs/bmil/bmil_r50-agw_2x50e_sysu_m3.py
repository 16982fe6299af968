# M3 of the paper's ablation: bias-mitigated global clustering, one prototype per cluster.
stages = ['bmil_r50-agw_50e_sysu_m1.py', 'bmil_r50-agw_50e_sysu_cross_m3.py']
