//! The state and the snapshot that Envoy is told from, as tasks share them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use catalyst_config::HostPort;
use catalyst_names::ServiceName;
use catalyst_xds::Publisher;
use tracing::{info, warn};

use crate::limits::Limits;
use crate::state::{Owner, State};

/// What tasks share.
pub(crate) struct Shared {
    state: Mutex<State>,
    pub(crate) publisher: Publisher,
    /// Something was refused for want of room since all was said last.
    short: AtomicBool,
    /// That was told to somebody who reads the log.
    warned: AtomicBool,
}

impl Shared {
    pub(crate) fn new(state: State, publisher: Publisher) -> Self {
        Shared {
            state: Mutex::new(state),
            publisher,
            short: AtomicBool::new(false),
            warned: AtomicBool::new(false),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held; if something did, the state is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What changed holds from now on. In the order of the changes, so under the lock.
    pub(crate) fn flush(&self, state: &mut State) {
        // What was told since the last time is not among it.
        if self.publisher.is_settled() {
            state.all_told();
        }
        let changes = state.drain();
        if changes.is_empty() {
            return;
        }
        if let Err(full) = self.publisher.apply(changes) {
            self.short.store(true, Ordering::Relaxed);
            if !self.warned.swap(true, Ordering::Relaxed) {
                warn!(%full, "Envoy cannot be told all; it is told when there is room");
            }
        }
    }

    /// Has all said again, now and then, while something was refused: room may have been made since.
    pub(crate) async fn say_what_was_refused(&self) {
        loop {
            tokio::time::sleep(Limits::AGAIN).await;
            self.repeat().await;
        }
    }

    async fn repeat(&self) {
        if !self.short.swap(false, Ordering::Relaxed) {
            return;
        }
        let mut after: Option<Box<str>> = None;
        loop {
            {
                let mut state = self.lock();
                after = state.repeat(after.as_deref());
                self.flush(&mut state);
            }
            if after.is_none() {
                break;
            }
            tokio::task::yield_now().await;
        }
        if !self.short.load(Ordering::Relaxed) && self.warned.swap(false, Ordering::Relaxed) {
            info!("Envoy is told all again");
        }
    }

    pub(crate) fn names(&self) -> Vec<(Owner, HostPort)> {
        self.lock().names()
    }

    /// What a name stands for, or why for nothing. Returns the service that is better or worse off by it.
    pub(crate) fn looked_up(
        &self,
        owner: &Owner,
        address: &HostPort,
        found: Result<Vec<SocketAddr>, &str>,
    ) -> Option<ServiceName> {
        let mut state = self.lock();
        let service = match found {
            Ok(found) => match state.dialled(owner, found) {
                Ok(found) => state.resolved(owner, address, found),
                Err(why) => state.unresolved(owner, address, why),
            },
            Err(why) => state.unresolved(owner, address, why),
        };
        self.flush(&mut state);
        self.open_if_whole(&state);
        service
    }

    /// Envoy is answered once all is known that the node starts with: addresses that names stand for, too. One that
    /// carries traffic still would lose them.
    pub(crate) fn open_if_whole(&self, state: &State) {
        if state.complete && state.has_looked_up() {
            self.publisher.open();
        }
    }
}

#[cfg(test)]
mod tests {
    use catalyst_control::{Endpoint, Forward, NextHop};
    use catalyst_dataplane::Site;
    use catalyst_names::{OriginId, Protocol};
    use catalyst_node::mesh::Change;
    use catalyst_xds::{Kind, Limits as Room};

    use super::*;

    /// A node with room for so many resources of a kind.
    fn shared(resources: usize) -> Shared {
        let site = Site {
            own: "a.acme.example".parse().unwrap(),
            mesh: ([127, 0, 0, 1], 8443).into(),
            node_socket: "/run/node.sock".into(),
            stream_socket: "/run/streams.sock".into(),
            http_socket: "/run/http.sock".into(),
            access_log: "/run/access.log".into(),
            via: "0123456789abcdef".into(),
        };
        let publisher = Publisher::new("a.acme.example", Room { resources, ..Room::default() });
        Shared::new(State::new(site, "a key".into()), publisher)
    }

    fn forward(name: &str, leads: bool) -> Forward {
        let endpoint = Endpoint {
            origin: OriginId::parse("o").unwrap(),
            next: NextHop::Peer("b.acme.example".parse().unwrap()),
            weight: 1,
            equal: false,
            backup: false,
        };
        Forward {
            service: name.parse().unwrap(),
            protocol: Protocol::Http,
            endpoints: leads.then_some(endpoint).into_iter().collect(),
        }
    }

    fn tell(shared: &Shared, forwards: &[Forward]) {
        let mut state = shared.lock();
        for forward in forwards {
            state.tell(&Change::Forward(forward));
        }
        shared.flush(&mut state);
    }

    fn scopes(shared: &Shared) -> usize {
        let at = Kind::ALL.into_iter().position(|kind| kind == Kind::Scope).unwrap();
        shared.publisher.status().kinds[at].resources
    }

    #[test]
    fn what_there_was_no_room_for_is_told_when_there_is() {
        let shared = shared(150);
        let names: Vec<String> = (0..200).map(|n| format!("s{n:03}.acme.example")).collect();
        let all = |leads| names.iter().map(|name| forward(name, leads)).collect::<Vec<_>>();
        tell(&shared, &all(true));
        assert_eq!(scopes(&shared), 150);
        let run = |what: &dyn Fn()| {
            what();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(shared.repeat());
        };
        run(&|| ());
        assert_eq!(scopes(&shared), 150);
        // A hundred go. Nothing is said of the fifty.
        run(&|| tell(&shared, &all(false)[..100]));
        assert_eq!(scopes(&shared), 100);
        assert!(!shared.short.load(Ordering::Relaxed) && !shared.warned.load(Ordering::Relaxed));
    }

    #[test]
    fn what_comes_and_goes_is_not_kept() {
        let shared = shared(1_000);
        for n in 0..500 {
            let name = format!("s{n}.acme.example");
            tell(&shared, &[forward(&name, true)]);
            assert!(shared.lock().is_new(&name.parse().unwrap()));
            tell(&shared, &[forward(&name, false)]);
        }
        assert_eq!(shared.lock().count_new(), 0);
        let name = "s.acme.example".parse().unwrap();
        shared.lock().tell(&Change::Forward(&forward("s.acme.example", true)));
        shared.lock().all_told();
        assert!(shared.lock().is_new(&name), "Envoy was not told of it yet");
    }
    #[test]
    fn a_mesh_port_of_another_organisation_is_not_on_this_machine() {
        let shared = shared(1_000);
        let own_org = "b.acme.example".parse().unwrap();
        let other = "g.globex.example".parse().unwrap();
        // This node's port is on the loopback, and the metadata of a cloud's machine on its link.
        for (peer, mesh_address, carried) in [
            (&own_org, "169.254.1.2:8443", true),
            (&other, "169.254.169.254:80", false),
            (&other, "[fe80::1]:8443", false),
            (&other, "127.0.0.2:8443", true),
            (&other, "192.0.2.1:8443", true),
        ] {
            shared.lock().tell(&Change::Neighbour { peer, mesh_address: Some(mesh_address), key: None });
            assert_eq!(shared.lock().carries(peer), carried, "{mesh_address}");
        }
        let name = HostPort::parse("gateway.globex.example:8443").unwrap();
        let change =
            Change::Neighbour { peer: &other, mesh_address: Some("gateway.globex.example:8443"), key: None };
        assert!(shared.lock().tell(&change), "it is looked up");
        let owner = Owner::Neighbour(other);
        let found = |ips: &[[u8; 4]]| ips.iter().map(|ip| (*ip, 8443).into()).collect::<Vec<SocketAddr>>();
        let known = || shared.lock().wanted().next().unwrap().1.clone();
        shared.looked_up(&owner, &name, Ok(found(&[[169, 254, 169, 254]])));
        assert!(known().known.is_empty() && known().why.is_some_and(|why| why.contains("its link")));
        shared.looked_up(&owner, &name, Ok(found(&[[169, 254, 169, 254], [192, 0, 2, 1]])));
        assert_eq!((known().known, known().why), (found(&[[192, 0, 2, 1]]), None));
    }
}
