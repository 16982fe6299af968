# RPNR with neighbour relations on the unit sphere, where near pairs are pulled together.
stages = ['rpnr_r50-agw_50e_sysu_intra.py', 'rpnr_r50-agw_50e_sysu_cross_unit-nrl.py']
