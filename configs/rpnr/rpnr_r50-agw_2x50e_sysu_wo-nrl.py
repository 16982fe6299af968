# RPNR without neighbour relations.
stages = ['rpnr_r50-agw_50e_sysu_intra.py', 'rpnr_r50-agw_50e_sysu_cross_wo-nrl.py']
