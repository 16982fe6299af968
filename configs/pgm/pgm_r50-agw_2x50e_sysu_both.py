# PGM with both directions in every epoch, without alternation.
stages = ['pgm_r50-agw_50e_sysu_intra.py', 'pgm_r50-agw_50e_sysu_cross_both.py']
