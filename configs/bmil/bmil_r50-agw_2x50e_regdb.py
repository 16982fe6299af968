# BMIL on RegDB, the release's values.
stages = ['bmil_r50-agw_50e_regdb_intra.py', 'bmil_r50-agw_50e_regdb_cross.py']
