//! How often strangers of one address may ask for a certificate: a join costs the authority a handshake and a look into
//! its books, whatever the token is worth.
//!
//! A bucket for each address, of [`Limits::JOIN_TRIES`], into which one try returns each [`Limits::JOIN_EVERY`]. A try that
//! ended well returns at once, so that a whole fleet may join from behind one address.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::limits::Limits;
use crate::rt::lock;

/// The buckets of those who came lately.
#[derive(Debug, Default)]
pub(crate) struct Visitors(Mutex<BTreeMap<IpAddr, Bucket>>);

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Tries that have not returned.
    used: u32,
    /// Up to when the returns were counted.
    counted: Instant,
}

impl Bucket {
    fn refill(&mut self, now: Instant) {
        let every = Limits::JOIN_EVERY.as_millis();
        let past = now.saturating_duration_since(self.counted).as_millis();
        let back = u32::try_from(past / every).unwrap_or(u32::MAX);
        self.used = self.used.saturating_sub(back);
        self.counted = if self.used == 0 { now } else { self.counted + Limits::JOIN_EVERY * back };
    }
}

/// What stands for one visitor: of IPv6, the network that one house has (RFC 6177).
fn source(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        v4 => v4,
    }
}

impl Visitors {
    /// Takes a try; an error says when there is one again.
    pub fn enter(&self, ip: IpAddr, now: Instant) -> Result<(), Duration> {
        let (source, mut buckets) = (source(ip), lock(&self.0));
        if buckets.len() >= Limits::JOIN_SOURCES && !buckets.contains_key(&source) {
            buckets.retain(|_, bucket| {
                bucket.refill(now);
                bucket.used > 0
            });
            if buckets.len() >= Limits::JOIN_SOURCES
                && let Some(oldest) = buckets.iter().min_by_key(|(_, b)| b.counted).map(|(ip, _)| *ip)
            {
                buckets.remove(&oldest);
            }
        }
        let bucket = buckets.entry(source).or_insert(Bucket { used: 0, counted: now });
        bucket.refill(now);
        if bucket.used >= Limits::JOIN_TRIES {
            return Err(Limits::JOIN_EVERY.saturating_sub(now.saturating_duration_since(bucket.counted)));
        }
        bucket.used += 1;
        Ok(())
    }

    /// A try has ended well.
    pub fn served(&self, ip: IpAddr) {
        if let Some(bucket) = lock(&self.0).get_mut(&source(ip)) {
            bucket.used = bucket.used.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_so_many_tries_and_each_comes_back_alone() {
        let (visitors, begin) = (Visitors::default(), Instant::now());
        let bad = ip("192.0.2.1");
        for _ in 0..Limits::JOIN_TRIES {
            assert_eq!(visitors.enter(bad, begin), Ok(()));
        }
        let later = begin + Limits::JOIN_EVERY / 3;
        assert_eq!(visitors.enter(bad, later), Err(Limits::JOIN_EVERY - Limits::JOIN_EVERY / 3));
        // The same by another spelling; another one is another one.
        assert!(visitors.enter(ip("::ffff:192.0.2.1"), later).is_err());
        assert_eq!(visitors.enter(ip("192.0.2.2"), later), Ok(()));
        let back = begin + Limits::JOIN_EVERY;
        assert_eq!((visitors.enter(bad, back).is_ok(), visitors.enter(bad, back).is_ok()), (true, false));
        // Who goes on asking waits no longer for it.
        let next = back + Limits::JOIN_EVERY;
        assert!(visitors.enter(bad, next).is_ok());
        let rested = next + Limits::JOIN_EVERY * 1_000;
        for _ in 0..Limits::JOIN_TRIES {
            assert_eq!(visitors.enter(bad, rested), Ok(()));
        }
        assert!(visitors.enter(bad, rested).is_err());
    }

    #[test]
    fn a_fleet_behind_one_address_may_join_and_a_network_of_ipv6_is_one_address() {
        let (visitors, now) = (Visitors::default(), Instant::now());
        for _ in 0..10 * Limits::JOIN_TRIES {
            assert_eq!(visitors.enter(ip("192.0.2.1"), now), Ok(()));
            visitors.served(ip("192.0.2.1"));
        }
        for n in 0..Limits::JOIN_TRIES {
            assert_eq!(visitors.enter(ip(&format!("2001:db8::{n:x}")), now), Ok(()));
        }
        assert!(visitors.enter(ip("2001:db8::ffff"), now).is_err());
        assert_eq!(visitors.enter(ip("2001:db8:0:1::1"), now), Ok(()));
    }

    #[test]
    fn it_remembers_no_more_addresses_than_it_may() {
        let (visitors, now) = (Visitors::default(), Instant::now());
        for n in 0..Limits::JOIN_SOURCES as u32 * 2 {
            let at = now + Duration::from_millis(n.into()) / 1_000;
            assert_eq!(visitors.enter(IpAddr::from((n + 0x0a00_0000).to_be_bytes()), at), Ok(()));
        }
        assert_eq!(lock(&visitors.0).len(), Limits::JOIN_SOURCES);
    }
}
