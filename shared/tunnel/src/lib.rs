//! Stream header, flow table and forwarding table of the data path.
