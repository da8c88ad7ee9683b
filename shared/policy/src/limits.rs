//! Capacities of agreements and rules.

/// Capacities of this crate's values.
pub struct Limits;

impl Limits {
    /// The canonical form of an agreement, in bytes. It travels in NOTIFY. When full: the agreement is refused.
    pub const AGREEMENT: usize = 4096;
    /// Bundle fingerprints of one party: room for two rotations under way. When full: the agreement is refused.
    pub const FINGERPRINTS: usize = 4;
    /// Bytes of a contact line. When full: the agreement is refused.
    pub const CONTACT: usize = 128;
    /// Rules of one list. When full: the list is refused.
    pub const RULES: usize = 1_024;
    /// Bytes of a rule's name. When full: the rule is refused.
    pub const RULE_NAME: usize = 64;
    /// Elements of a pattern for paths. When full: the rule is refused.
    pub const PATH_PATTERN: usize = 16;
    /// Tags that one rule adds, and tags that it takes off. When full: the rule is refused.
    pub const RULE_TAGS: usize = 16;
}
