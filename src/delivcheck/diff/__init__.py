"""What a DNS change alters: two audits of one domain, side by side over the same answers, and what they differ in.

`run` audits, `compare` tells the two apart, `values` are the JSON of schema `delivcheck-diff/1`.
"""
