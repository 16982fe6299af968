# RPNR with the matching of PGM in place of optimal transport.
stages = ['rpnr_r50-agw_50e_sysu_intra.py', 'rpnr_r50-agw_50e_sysu_cross_wo-otpm.py']
