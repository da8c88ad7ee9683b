//! Adj-RIB-In, Loc-RIB and best path over a fixed or a heap store.
