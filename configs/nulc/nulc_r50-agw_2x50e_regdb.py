# N-ULC on RegDB, the release's values.
stages = ['nulc_r50-agw_50e_regdb_intra.py', 'nulc_r50-agw_50e_regdb_cross.py']
