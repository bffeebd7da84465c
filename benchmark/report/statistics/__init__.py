"""Statistics of benchmark results: pure functions on arrays, shapes in the docstrings; scipy is imported where used.

intervals.py    sd and t interval over seeds, interval of bootstrap draws
paired.py       outcomes of several models on the same items
seeds.py        minimum detectable difference of paired seeds, what few seeds cannot show
resampling.py   a metric of many models on many bootstrap samples at once
multiple.py     step-down max-T, comparisons with the best, Holm, Wilcoxon over cells, Friedman, Nemenyi's critical difference
ranks.py        ranks with bootstrap intervals
profiles.py     interquartile mean, probability of improvement
"""
