# N-ULC with soft targets; every image weighs the same.
stages = ['nulc_r50-agw_50e_sysu_intra.py', 'nulc_r50-agw_50e_sysu_cross_wo-ndw.py']
