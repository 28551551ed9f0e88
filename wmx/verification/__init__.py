"""Verdicts and evidence: query a suspect, weigh its predictions, prove, check, keep account."""
