# ADCA on your own footage, values of our own.
stages = ['adca_r50-agw_50e_list-file_intra.py', 'adca_r50-agw_50e_list-file_cross.py']
