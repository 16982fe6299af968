# ADCA on LLCM, values of our own.
stages = ['adca_r50-agw_50e_llcm_intra.py', 'adca_r50-agw_50e_llcm_cross.py']
