# PGM with the gradient of the release, formed with prototypes that have moved.
stages = ['pgm_r50-agw_50e_sysu_intra.py', 'pgm_r50-agw_50e_sysu_cross_moved.py']
