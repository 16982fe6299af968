# PGM on SYSU-MM01, the release's values.
stages = ['pgm_r50-agw_50e_sysu_intra.py', 'pgm_r50-agw_50e_sysu_cross.py']
