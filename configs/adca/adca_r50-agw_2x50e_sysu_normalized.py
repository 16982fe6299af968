# ADCA with matched prototypes that are scaled to unit length.
stages = ['adca_r50-agw_50e_sysu_intra.py', 'adca_r50-agw_50e_sysu_cross_normalized.py']
