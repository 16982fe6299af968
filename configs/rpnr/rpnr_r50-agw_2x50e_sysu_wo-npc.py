# RPNR without calibration: images keep the labels of their clusters.
stages = ['rpnr_r50-agw_50e_sysu_intra.py', 'rpnr_r50-agw_50e_sysu_cross_wo-npc.py']
