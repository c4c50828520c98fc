"""A data set as one page of pictures and figures."""
