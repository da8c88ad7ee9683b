//! The keys of `envoy` and `https`: the data plane of a cloud node. The edge refuses both, so it needs no words for what
//! is in them.

#[cfg(not(feature = "cloud"))]
pub(crate) use none::{ENVOY, HTTPS};
#[cfg(feature = "cloud")]
pub(crate) use tables::{ENVOY, HTTPS};

#[cfg(not(feature = "cloud"))]
mod none {
    use crate::key::Key;

    pub(crate) static ENVOY: &[Key] = &[];
    pub(crate) static HTTPS: &[Key] = &[];
}

#[cfg(feature = "cloud")]
mod tables {
    use crate::form::Form;
    use crate::key::Need::{Default, Optional};
    use crate::key::{Key, Kind};

    /// The words of `mode`.
    const MODES: &[&str] = &["managed", "external", "off"];

    pub(crate) static ENVOY: &[Key] = &[
        Key::new(
            "mode",
            Kind::Choice(MODES),
            Default("\"off\""),
            "Who runs Envoy: managed (this node starts and watches it), external (you do, with the bootstrap that 'catalyst envoy bootstrap' prints) or off (no Envoy: flows of other nodes come by the tunnel alone).",
            "use \"managed\"",
        ),
        Key::new(
            "path",
            Kind::Text(Form::Path),
            Optional,
            "The Envoy program. Without it: --envoy or CATALYST_ENVOY, then beside this program, then where the shell would find it.",
            "give the path of an Envoy of version 1.40 or later, or leave it out",
        ),
        Key::new(
            "workers",
            Kind::Integer(1, 128),
            Optional,
            "Threads that carry traffic. Without it as many as there are processors.",
            "give a number of threads, or leave it out",
        ),
        Key::new(
            "listen",
            Kind::Text(Form::Listen),
            Default("\"0.0.0.0:8443\""),
            "The mesh port: where other nodes' Envoys come in, by HTTP/2 over mutual TLS.",
            "write \"listen\": \"0.0.0.0:8443\"",
        ),
        Key::new(
            "address",
            Kind::Text(Form::Address),
            Optional,
            "Where other nodes find the mesh port; neighbours are told it. Without it they use the tunnel.",
            "write \"address\": \"gateway.acme.example:8443\"",
        ),
    ];

    pub(crate) static HTTPS: &[Key] = &[
        Key::new(
            "listen",
            Kind::Text(Form::Listen),
            Optional,
            "Where HTTPS clients reach every HTTP service by its name in 'Host'. Without it nothing listens. It needs Envoy, a certificate and its key.",
            "write \"listen\": \"127.0.0.1:8444\", or leave it out",
        ),
        Key::new(
            "certificate",
            Kind::Text(Form::Path),
            Optional,
            "The certificate that HTTPS clients are shown, with those between it and its root, in PEM.",
            "give the path of a certificate",
        ),
        Key::new(
            "key",
            Kind::Text(Form::Path),
            Optional,
            "The private key of that certificate, in PEM. The file must be readable by its owner only.",
            "give the path of the certificate's key",
        ),
    ];
}
