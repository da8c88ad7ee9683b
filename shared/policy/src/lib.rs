//! Agreements, roles, default deny, export and import rules.
