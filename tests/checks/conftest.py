"""The clean projects are test data: pytest does not collect them."""

collect_ignore_glob = ["clean/*"]
