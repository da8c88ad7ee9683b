//! What runs, drawn, and what to try.

use super::fabric::{Fabric, Node};
use super::ports::Port;

/// Who, where, and on which ports.
pub fn picture(fabric: &mut Fabric) -> String {
    let mut pid =
        |node: Node| format!("pid {}", fabric.process(node.name()).map_or(0, |process| process.pid()));
    let (edge, cloud, globex) = (pid(Node::Edge), pid(Node::Cloud), pid(Node::Globex));
    let number = |port| fabric.ports.number(port);
    let udp = |port| format!("UDP {}", number(port));
    let (acme_udp, globex_udp) = (udp(Port::AcmePeering), udp(Port::GlobexPeering));
    let mesh = |port| format!("mesh {}", number(port));
    let server = |name: &str, port, more: &str| format!("  +- {name:<10}HTTP {}{more}", number(port));
    let local = |name: &str, port| format!("  +- {name:<10}{}", number(port));

    let line = "+------------------+";
    let card = |text: &str, after: &str| format!("| {text:<17}|{after}");
    let far = |before: &str, text: &str| format!("{before:<9}| {text:<17}|");
    let indented = |text: &str| format!("{:9}{text}", "");
    let rows = [
        ["acme.example".to_owned(), String::new(), "  globex.example".to_owned()],
        [String::new(), String::new(), String::new()],
        [line.to_owned(), line.to_owned(), indented(line)],
        [card("edge-1", "  dials"), card("cloud-1", "  dials"), far("", "cloud-1")],
        [
            card("catalyst-edge", " ------>"),
            card("catalyst, Envoy", " -------"),
            far("------->", "catalyst, Envoy"),
        ],
        [card(&edge, "  QUIC"), card(&cloud, "  QUIC"), far("", &globex)],
        [card("", ""), card(&acme_udp, "  HTTP/2"), far("", &globex_udp)],
        [card("", ""), card(&mesh(Port::AcmeMesh), " -------"), far("------->", &mesh(Port::GlobexMesh))],
        [line.to_owned(), line.to_owned(), indented(line)],
        ["  | its service".to_owned(), "  | local ports for".to_owned(), indented("  | its services")],
        [
            server("inventory", Port::InventoryServer, ""),
            local("inventory", Port::Inventory),
            indented(&server("orders", Port::OrdersServer, "  exported")),
        ],
        [
            format!("  +- {:<10}UDP  {}", "clock", number(Port::ClockServer)),
            local("orders", Port::Orders),
            indented(&server("payroll", Port::PayrollServer, "  not exported")),
        ],
        [String::new(), local("payroll", Port::Payroll), String::new()],
        [String::new(), "     ^".to_owned(), String::new()],
        [String::new(), "     you, with curl".to_owned(), String::new()],
    ];
    rows.iter()
        .map(|[left, middle, right]| format!("  {left:<29}{middle:<29}:{right}"))
        .map(|row| format!("{}\n", row.trim_end()))
        .collect()
}

/// Commands that work as they stand, from the current directory.
pub fn commands(fabric: &Fabric) -> String {
    let catalyst = fabric.program(Node::Cloud).display().to_string();
    let edge = fabric.program(Node::Edge).display().to_string();
    let config = |node| fabric.config(node).display().to_string();
    let (acme, acme_edge, globex) = (config(Node::Cloud), config(Node::Edge), config(Node::Globex));
    let curl = |port, says: &str| format!("curl http://{}/     {says}", fabric.ports.address(port));
    let target = fabric.ports.address(Port::InventoryServer);
    let log = fabric.socket(Node::Globex).with_file_name("envoy").join("access.log");
    let open = fabric.rules(true).display().to_string();
    let closed = fabric.rules(false).display().to_string();
    let lines = [
        curl(Port::Inventory, "inventory, through the tunnel that edge-1 dialled"),
        curl(Port::Orders, "orders, of the other organisation"),
        curl(Port::Payroll, "payroll, which is not exported: no answer, curl says 52"),
        format!(
            "curl -H 'Host: orders.globex.example' http://{}/     by name, at acme's Envoy",
            fabric.ports.address(Port::Ingress)
        ),
        format!("tail -n 1 {}     who asked, and where it went", log.display()),
        String::new(),
        format!("{catalyst} status -c {acme}"),
        format!("{catalyst} route ls -c {acme}"),
        format!("{catalyst} peer ls -c {acme}"),
        format!("{catalyst} service ls -c {globex}"),
        String::new(),
        "# why orders goes the way it goes, and who hears of it; changes as they happen (Ctrl-C ends it)".to_owned(),
        format!("{catalyst} route explain orders.globex.example -c {acme}"),
        format!("{catalyst} route watch -c {acme}"),
        String::new(),
        "# what a rule would expose, before it does; then payroll answers at acme; the last line takes it back".to_owned(),
        format!("{catalyst} policy plan {open} -c {globex}"),
        format!("{catalyst} policy apply {open} -c {globex}"),
        format!("{catalyst} policy apply {closed} -c {globex}"),
        String::new(),
        "# globex is to be taken out of service: acme uses it last from then on ('route ls' says so), and as ever after undrain"
            .to_owned(),
        format!("{catalyst} node drain --stay -c {globex}"),
        format!("{catalyst} node undrain -c {globex}"),
        String::new(),
        "# one more service at the edge; its route is in the cloud at once".to_owned(),
        format!("{edge} service add prices --protocol http --target {target} -c {acme_edge}"),
        format!("{catalyst} route ls prices.acme.example -c {acme}"),
    ];
    lines.map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") }).concat()
}
