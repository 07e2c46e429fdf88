"""Intervals, paired tests, tie groups and rank intervals: what may be read from a table, and what may not.

`intervals`      per value: resampled images of one category; per aggregate: seeds
`paired`         two methods on the same categories and seeds; corrections for many pairs
`ties`           which methods cannot be told from the best
`ranking`        average ranks, Friedman's test, Nemenyi's critical difference, rank intervals
`standings`      all of it for a whole frame of results
"""
