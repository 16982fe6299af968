# PGM on RegDB, the release's values.
stages = ['pgm_r50-agw_30e_regdb_intra.py', 'pgm_r50-agw_30e_regdb_cross.py']
