//! What a planner says, carried out by real Envoys: requests and connections that go through them.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod certs;
mod changes;
mod doors;
mod failures;
mod grpc;
mod http;
mod http1;
mod http2;
mod lab;
mod paths;
mod peers;
mod stalled;
mod tls;
