//! What neighbours have under way in Envoy: requests on the mesh port, of which a byte stream is one, too. A connection on
//! which nothing is asked is none.

use catalyst_envoy::{Admin, Stats};
use catalyst_node::drain::UnderWay;

/// Of the mesh port's connection manager. Neighbours that look whether it answers are not among the completed ones.
const FILTER: &str = r"^http\.mesh\.downstream_rq_(active|completed)$";

/// `None` when Envoy does not answer.
pub(crate) async fn ask(admin: &Admin) -> Option<UnderWay> {
    admin.stats(FILTER).await.ok().map(|stats| read(&stats))
}

/// Before its first neighbour has come, Envoy has no such figures.
fn read(stats: &Stats) -> UnderWay {
    let of = |what: &str| stats.get(&format!("http.mesh.downstream_rq_{what}")).copied().unwrap_or_default();
    UnderWay { now: of("active"), ever: of("completed") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_figures_are_found_and_missing_ones_are_nothing() {
        let stat = |what: &str, count| (format!("http.mesh.downstream_rq_{what}"), count);
        let stats: Stats = [stat("active", 3), stat("completed", 70), stat("total", 99)].into();
        assert_eq!(read(&stats), UnderWay { now: 3, ever: 70 });
        assert_eq!(read(&Stats::new()), UnderWay::default());
    }
}
