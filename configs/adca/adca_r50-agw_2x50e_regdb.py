# ADCA on RegDB, the release's values.
stages = ['adca_r50-agw_50e_regdb_intra.py', 'adca_r50-agw_50e_regdb_cross.py']
