# RPNR on SYSU-MM01, the release's values.
stages = ['rpnr_r50-agw_50e_sysu_intra.py', 'rpnr_r50-agw_50e_sysu_cross.py']
