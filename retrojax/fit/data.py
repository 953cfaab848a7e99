def protocols_by_label(path): return {}
