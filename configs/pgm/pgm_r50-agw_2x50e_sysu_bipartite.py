# PGM with one round of matching: one to one, and others have no partner.
stages = ['pgm_r50-agw_50e_sysu_intra.py', 'pgm_r50-agw_50e_sysu_cross_bipartite.py']
