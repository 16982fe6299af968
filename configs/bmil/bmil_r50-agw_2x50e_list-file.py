# BMIL on your own footage.
stages = ['bmil_r50-agw_50e_list-file_intra.py', 'bmil_r50-agw_50e_list-file_cross.py']
