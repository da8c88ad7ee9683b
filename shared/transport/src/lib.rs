//! The QUIC driver: a control and a data connection per neighbour.
