# BMIL on SYSU-MM01, the release's values.
stages = ['bmil_r50-agw_50e_sysu_intra.py', 'bmil_r50-agw_50e_sysu_cross.py']
