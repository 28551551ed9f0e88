"""What the rooms share and no user imports: files, HTTP, parsers of bounded cost, text."""
