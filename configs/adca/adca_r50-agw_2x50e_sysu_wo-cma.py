# ADCA with no aggregation, the first stage once more.
stages = ['adca_r50-agw_50e_sysu_intra.py', 'adca_r50-agw_50e_sysu_cross_wo-cma.py']
