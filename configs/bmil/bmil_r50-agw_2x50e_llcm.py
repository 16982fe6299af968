# BMIL on LLCM, values of our own.
stages = ['bmil_r50-agw_50e_llcm_intra.py', 'bmil_r50-agw_50e_llcm_cross.py']
