# RPNR on RegDB, the release's values.
stages = ['rpnr_r50-agw_50e_regdb_intra.py', 'rpnr_r50-agw_50e_regdb_cross.py']
