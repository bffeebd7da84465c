"""Statistics of benchmark results: pure functions on arrays, shapes in the docstrings; scipy is imported where used.

intervals.py    mean, sd and t interval over seeds
paired.py       two models on the same items: a difference with its interval and p from bootstrap draws
seeds.py        minimum detectable difference of paired seeds, what few seeds cannot show
resampling.py   a metric of many models on many bootstrap samples at once
multiple.py     step-down max-T, comparisons with the best, Holm, Wilcoxon over cells, Friedman, Nemenyi's critical difference
ranks.py        ranks with bootstrap intervals
profiles.py     interquartile mean, probability of improvement
"""
