# PGM on LLCM, values of our own.
stages = ['pgm_r50-agw_50e_llcm_intra.py', 'pgm_r50-agw_50e_llcm_cross.py']
