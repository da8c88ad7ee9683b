//! The files that a user of the demo would have written: an agreement, and a configuration for each node.

use super::ports::{Port, Ports};

/// Both organisations hold the same bytes.
pub const AGREEMENT: &str = r#"{
  "version": 1,
  "parties": [
    { "org": "acme.example", "role": "peer", "contact": "ops@acme.example" },
    { "org": "globex.example", "role": "peer", "contact": "noc@globex.example" }
  ]
}
"#;

/// Rules of globex under which acme gets payroll, too.
pub const PAYROLL_TOO: &str = r#"{
  "exports": [
    { "service": "orders", "to": "acme.example" },
    { "name": "payroll-too", "service": "payroll", "to": "acme.example" }
  ],
  "imports": []
}
"#;

/// The same as in its configuration.
pub const ORDERS_ALONE: &str = r#"{
  "exports": [
    { "service": "orders", "to": "acme.example" }
  ],
  "imports": []
}
"#;

/// `edge-1.acme.example`: it listens nowhere and dials the cloud node.
pub fn edge(ports: &Ports) -> String {
    format!(
        r#"{{
  "version": 1,
  "org": "acme.example",
  "node": "edge-1",
  "peers": [
    {{ "node": "cloud-1", "address": "{}" }}
  ],
  "services": [
    {{ "name": "inventory", "protocol": "http", "target": "{}" }},
    {{ "name": "clock", "protocol": "udp", "target": "{}" }}
  ]
}}
"#,
        ports.address(Port::AcmePeering),
        ports.address(Port::InventoryServer),
        ports.address(Port::ClockServer),
    )
}

/// `cloud-1.acme.example`. It would import payroll too: what keeps payroll out is globex, which does not export it.
pub fn acme(ports: &Ports, envoy: &str) -> String {
    format!(
        r#"{{
  "version": 1,
  "org": "acme.example",
  "node": "cloud-1",
  "listen": "{}",
  "authority": {{ "root": "../acme-root", "address": "{}" }},
  "envoy": {{ "mode": "managed", "path": "{envoy}", "workers": 1, "listen": "{mesh}", "address": "{mesh}" }},
  "http": {{ "listen": "{}" }},
  "peers": [
    {{ "node": "edge-1" }},
    {{
      "node": "cloud-1",
      "org": "globex.example",
      "address": "{}",
      "bundle": "globex.example.bundle.pem",
      "agreement": "acme-globex.agreement.json"
    }}
  ],
  "imports": [
    {{ "service": "orders", "from": "globex.example" }},
    {{ "service": "payroll", "from": "globex.example" }}
  ],
  "expose": [
    {{ "service": "inventory.acme.example", "listen": "{}" }},
    {{ "service": "orders.globex.example", "listen": "{}" }},
    {{ "service": "payroll.globex.example", "listen": "{}" }}
  ]
}}
"#,
        ports.address(Port::AcmePeering),
        ports.address(Port::AcmePeering),
        ports.address(Port::Ingress),
        ports.address(Port::GlobexPeering),
        ports.address(Port::Inventory),
        ports.address(Port::Orders),
        ports.address(Port::Payroll),
        mesh = ports.address(Port::AcmeMesh),
    )
}

/// `cloud-1.globex.example`: two services, one of them exported.
pub fn globex(ports: &Ports, envoy: &str) -> String {
    format!(
        r#"{{
  "version": 1,
  "org": "globex.example",
  "node": "cloud-1",
  "listen": "{}",
  "envoy": {{ "mode": "managed", "path": "{envoy}", "workers": 1, "listen": "{mesh}", "address": "{mesh}" }},
  "peers": [
    {{
      "node": "cloud-1",
      "org": "acme.example",
      "bundle": "acme.example.bundle.pem",
      "agreement": "acme-globex.agreement.json"
    }}
  ],
  "services": [
    {{ "name": "orders", "protocol": "http", "target": "{}" }},
    {{ "name": "payroll", "protocol": "http", "target": "{}" }}
  ],
  "exports": [
    {{ "service": "orders", "to": "acme.example" }}
  ]
}}
"#,
        ports.address(Port::GlobexPeering),
        ports.address(Port::OrdersServer),
        ports.address(Port::PayrollServer),
        mesh = ports.address(Port::GlobexMesh),
    )
}
