# M4 of the paper's ablation: subsets and bias-mitigated global clustering, one prototype per
# cluster.
stages = ['bmil_r50-agw_50e_sysu_intra.py', 'bmil_r50-agw_50e_sysu_cross_m4.py']
