# RPNR on LLCM, values of our own.
stages = ['rpnr_r50-agw_50e_llcm_intra.py', 'rpnr_r50-agw_50e_llcm_cross.py']
