"""The officers' pages: each one module with its routes and the plain values that its template shows."""
