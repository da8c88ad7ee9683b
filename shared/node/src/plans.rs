//! A plan of other rules on its way to the engine and back.

use catalyst_control::plan::Planning;

use crate::rules::Lists;

/// A plan that is being worked out, in pieces: sessions go on meanwhile.
pub(crate) struct UnderWay {
    pub(crate) planning: Planning,
    pub(crate) lists: Lists,
    /// Which rules differ from those that hold.
    pub(crate) rules: Vec<catalyst_policy::RuleChange>,
    /// Of the rules that it is compared with.
    pub(crate) etag: String,
}
