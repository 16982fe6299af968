# N-ULC with the gradient of the release, formed with prototypes that have moved.
stages = ['nulc_r50-agw_50e_sysu_intra.py', 'nulc_r50-agw_50e_sysu_cross_moved.py']
