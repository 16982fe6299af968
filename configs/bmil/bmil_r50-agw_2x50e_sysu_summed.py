# BMIL with one update of the summed losses in the second stage, as the paper writes it.
stages = ['bmil_r50-agw_50e_sysu_intra.py', 'bmil_r50-agw_50e_sysu_cross_summed.py']
