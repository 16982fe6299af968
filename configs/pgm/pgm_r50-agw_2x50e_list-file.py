# PGM on your own footage, values of our own.
stages = ['pgm_r50-agw_50e_list-file_intra.py', 'pgm_r50-agw_50e_list-file_cross.py']
