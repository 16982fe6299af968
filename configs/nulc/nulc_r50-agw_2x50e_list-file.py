# N-ULC on your own footage, values of our own.
stages = ['nulc_r50-agw_50e_list-file_intra.py', 'nulc_r50-agw_50e_list-file_cross.py']
