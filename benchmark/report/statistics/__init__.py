"""Statistics of benchmark results: pure functions on arrays, shapes in the docstrings; scipy is imported where used.

intervals.py    mean, sd, t and bootstrap intervals over seeds
paired.py       two models on the same items: paired bootstrap, McNemar
seeds.py        paired seeds: exact sign-flip test, minimum detectable difference, what few seeds cannot show
resampling.py   a metric of many models on many bootstrap samples at once
multiple.py     step-down max-T, comparisons with the best, Holm, Wilcoxon over cells, Friedman, Nemenyi, critical difference
ranks.py        ranks with bootstrap intervals
profiles.py     interquartile mean, performance profile, probability of improvement
"""
