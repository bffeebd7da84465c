"""Statistics of benchmark results: pure functions on arrays, shapes in the docstrings; scipy is imported where used.

intervals.py    sd and t interval over seeds, interval of bootstrap draws
seeds.py        minimum detectable difference of paired seeds, what few seeds cannot show
resampling.py   a metric of many models on many bootstrap samples of the same items
multiple.py     step-down max-T, comparisons with the best, Holm, Wilcoxon over cells, Friedman, Nemenyi's critical difference
aggregates.py   ranks with bootstrap intervals, interquartile mean, probability of improvement
"""
