"""HTML reports for owners and third parties: self-contained files without scripts."""
