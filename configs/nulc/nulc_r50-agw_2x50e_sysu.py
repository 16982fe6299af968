# N-ULC on SYSU-MM01, the release's values.
stages = ['nulc_r50-agw_50e_sysu_intra.py', 'nulc_r50-agw_50e_sysu_cross.py']
