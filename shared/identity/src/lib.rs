//! Node keys, certificates, trust bundles and the verifier.
