"""What a suspect's files may hold and name; read in the locked process wherever possible."""
