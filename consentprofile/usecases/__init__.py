"""What people do with a store, one module for each thing; all of them are given a :class:`.session.Session`."""
