//! What comes to the engine from tasks, and the way back.

use async_channel::Sender;
use catalyst_identity::Credentials;
use catalyst_names::ServiceLabel;

use crate::admin::{Answer, Request};
use crate::caller::Caller;
use crate::enrolment::Enrol;
#[cfg(feature = "mesh")]
use crate::watchers::WatchAsk;

/// What the engine can be asked.
pub(crate) enum Ask {
    /// By a person or a program, on the admin socket.
    Admin(Request),
    /// By a node that wants a certificate.
    Enrol(Box<Enrol>),
    /// Not a question: a service is healthy from now on, or not.
    Health(ServiceLabel, bool),
    /// By a task that serves a watcher.
    #[cfg(feature = "mesh")]
    Watch(WatchAsk),
    /// Not a question: what keeps a service of this node from being served changed.
    #[cfg(feature = "mesh")]
    Trouble(ServiceLabel),
    /// Not a question: what neighbours have under way in the program that carries flows, as far as it says.
    #[cfg(feature = "mesh")]
    UnderWay(Option<crate::drain::UnderWay>),
    /// Not a question: the program that carries flows has all that was granted up to this.
    #[cfg(feature = "mesh")]
    Granted(u64),
    /// Not a question: a list of routes goes on.
    #[cfg(feature = "mesh")]
    List(Box<crate::listing::Listing>),
    /// Not a question: a plan goes on.
    #[cfg(feature = "mesh")]
    Plan(Box<crate::plans::UnderWay>),
    /// Not a question: how the renewal of this node's certificate went.
    Renewed(Box<Result<Credentials, String>>),
}

/// A request on its way to the engine, and the way back.
pub(crate) struct Asked {
    pub(crate) ask: Ask,
    pub(crate) reply: Sender<Result<Answer, String>>,
    /// Nothing is done for one that is gone.
    pub(crate) caller: Caller,
}
