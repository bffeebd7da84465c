"""Records to tables, statistics, figures and the page. Nothing here trains.

A table, in the order in which it is made:

layout.py        which runs it shows, each with its record or the reason there is none; its rows and columns
cells.py         one cell: runs, mean, spread
marks.py         what is said about cells: best and second, dagger and lettered notes
average.py       averages over tasks
facts.py         how the numbers were made
table.py         all of this in one `Table`
sheet.py         the table as it is printed: heads, blocks, cut to a width
show.py          the words of cells, caption and notes
text.py, markdown.py, latex.py, html.py, data.py    one format each, chosen by render.py

floors.py        what a constant answer scores; records are corrected by it before a table is made
published.py, efficiency.py, settings.py    other tables
significance.py  which cells of a table differ, tested over items
scores.py, summary.py  a table's scores as arrays, and what statistics/ says of them
figures/, page/, site.py    figures of a board, its page, a site of many boards
names.py, numbers.py, filenames.py, escape.py    how things are called, printed and escaped
"""
