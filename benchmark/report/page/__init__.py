"""One self-contained HTML page of boards: `write_page` in write.py; style and script lie beside it as files."""
