# N-ULC with one-hot targets; images weigh by their neighbours.
stages = ['nulc_r50-agw_50e_sysu_intra.py', 'nulc_r50-agw_50e_sysu_cross_wo-nulc.py']
