"""Internal helpers, not for users: files, HTTP, text, budgets, parsers of bounded cost."""
