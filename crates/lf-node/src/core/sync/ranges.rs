//! A node's linked records in the order of (timestamp, hash), so that ranges of them can be counted and compared.
