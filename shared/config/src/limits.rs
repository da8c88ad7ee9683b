//! How much a configuration may hold.

/// Capacities of reading a configuration. What a running node holds is [`crate::Capacities`].
pub struct Limits;

impl Limits {
    /// Bytes of a configuration file. When full: the file is refused.
    pub const FILE: usize = 512 * 1024;
    /// Bytes of an agreement file, which may be indented freely. When full: the file is refused.
    pub const AGREEMENT_FILE: usize = 64 * 1024;
    /// Bytes of a file with a join token. When full: the file is refused.
    pub const TOKEN_FILE: usize = 4 * 1024;
    /// Bytes of one environment variable or flag. When full: it is refused.
    pub const GIVEN: usize = 128 * 1024;
    /// Errors that are reported with their place. When full: the rest is counted.
    pub const ERRORS: usize = 50;
    /// Characters of a value that an error shows. When full: cut off, with a mark.
    pub const SHOWN: usize = 60;
    /// Patterns in `interest`. When full: the list is refused.
    pub const INTEREST: usize = 1_024;
    /// Those of them with a `*`. When full: the list is refused.
    pub const INTEREST_STARS: usize = 64;
    /// Rules in `exports`, and in `imports`. When full: the list is refused.
    pub const RULES: usize = 1_024;
    /// Tags of one service; the longest ones still fit one route entry. When full: the list is refused.
    pub const TAGS: usize = 16;
    /// Arguments of a program that is run, itself included. When full: the list is refused.
    pub const ARGUMENTS: usize = 256;
    /// Environment variables of a program that is run. When full: the list is refused.
    pub const VARIABLES: usize = 128;
    /// Bytes of all arguments, variables and the folder of a program that is run. When full: refused.
    pub const PROGRAM: usize = 16 * 1024;
    /// Ports that may be opened at run time. When full: the range is refused.
    pub const EXPOSE_PORTS: usize = 1_024;
    /// Bytes of a path. When full: refused.
    pub const PATH: usize = 4_096;
    /// Bytes of the path of a Unix socket, which the system limits. When full: refused.
    pub const SOCKET_PATH: usize = 107;
    /// Bytes of a file of rules. When full: the file is refused.
    pub const POLICY_FILE: usize = 1024 * 1024;
}
