"""One HTML page about a plan or a report, without any other file.

`content` says what is on it, `names` what people are called, `render` makes the page, `markdown` a short form of it.
"""
