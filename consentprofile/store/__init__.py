"""The ground: two SQLite files and three locks. One module for each table family; SQL stays in this package."""
