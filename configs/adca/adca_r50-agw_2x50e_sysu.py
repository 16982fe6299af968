# ADCA on SYSU-MM01, the release's values.
stages = ['adca_r50-agw_50e_sysu_intra.py', 'adca_r50-agw_50e_sysu_cross.py']
