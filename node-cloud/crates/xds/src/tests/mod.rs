//! The state machine without a socket: its rules one by one, and random changes against a simulated Envoy.

mod limits;
mod make;
mod random;
mod reconnect;
mod rejected;
mod rules;
mod sim;
