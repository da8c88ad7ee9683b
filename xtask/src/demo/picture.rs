//! What runs, drawn, and what to try.

use super::fabric::{Fabric, Node};
use super::ports::Port;

/// Who, where, and on which ports.
pub fn picture(fabric: &mut Fabric) -> String {
    let mut pid = |name: &str| fabric.process(name).map_or(0, |process| process.pid());
    let (edge, cloud, globex) = (pid(Node::Edge.name()), pid(Node::Cloud.name()), pid(Node::Globex.name()));
    let port = |port| fabric.ports.number(port);
    let (acme_udp, globex_udp) = (port(Port::AcmePeering), port(Port::GlobexPeering));
    let (inventory, orders, payroll) =
        (port(Port::InventoryServer), port(Port::OrdersServer), port(Port::PayrollServer));
    let (p1, p2, p3) = (port(Port::Inventory), port(Port::Orders), port(Port::Payroll));
    format!(
        "\
  acme.example                                                 | globex.example
                                                               |
  +-------------------+   dials    +-----------------------+   dials   +--------------------+
  | edge-1            |  ------->  | cloud-1               |  ------>  | cloud-1            |
  | catalyst-edge     |    QUIC    | catalyst              |   QUIC    | catalyst           |
  | pid {edge:<13} |            | pid {cloud:<8} UDP {acme_udp:<5}|     |     | pid {globex:<8} UDP {globex_udp:<5}|
  +-------------------+            +-----------------------+     |     +--------------------+
    |                                |  local ports for          |       |
    +-- inventory  HTTP {inventory}        +-- {p1}  inventory        |       +-- orders   HTTP {orders}  exported
                                     +-- {p2}  orders           |       +-- payroll  HTTP {payroll}  not exported
                                     +-- {p3}  payroll          |
                                           ^                     |
                                        you, with curl           |
"
    )
}

/// Commands that work as they stand, from the current directory.
pub fn commands(fabric: &Fabric) -> String {
    let catalyst = fabric.program(Node::Cloud).display().to_string();
    let edge = fabric.program(Node::Edge).display().to_string();
    let config = |node| fabric.config(node).display().to_string();
    let at = |port| fabric.ports.address(port);
    let (acme, acme_edge, globex) = (config(Node::Cloud), config(Node::Edge), config(Node::Globex));
    format!(
        "\
  curl http://{}/    inventory, through the tunnel that edge-1 dialled
  curl http://{}/    orders of globex
  curl http://{}/    payroll of globex: no route, no answer

  {catalyst} status -c {acme}
  {catalyst} route ls -c {acme}
  {catalyst} peer ls -c {acme}
  {catalyst} service ls -c {globex}

  offer one more service at the edge, and see its route arrive in the cloud:
  {edge} service add prices --protocol http --target {} -c {acme_edge}
  {catalyst} route ls prices.acme.example -c {acme}
",
        at(Port::Inventory),
        at(Port::Orders),
        at(Port::Payroll),
        at(Port::InventoryServer),
    )
}
