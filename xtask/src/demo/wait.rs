//! Waiting on a state with a deadline: looked at often, never slept and hoped for.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::signals::Signals;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// What a look found.
pub enum Look<T> {
    /// The state is there.
    Done(T),
    /// Not yet; what is there instead.
    NotYet(String),
    /// It will never come, and why.
    Never(String),
}

/// Looks until the state is there. Gives what the last look found, and how long it took.
///
/// # Errors
/// When the time is over, the state cannot come, or somebody wants the demo to end.
pub fn until<T>(
    signals: &Signals,
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Look<T>,
) -> Result<(T, Duration)> {
    let start = Instant::now();
    loop {
        let instead = match look() {
            Look::Done(found) => return Ok((found, start.elapsed())),
            Look::NotYet(instead) => instead,
            Look::Never(why) => bail!("{what}: {why}"),
        };
        if signals.came() {
            bail!("interrupted while waiting: {what}");
        }
        if start.elapsed() >= limit {
            bail!("{what}: not within {} s; instead: {instead}", limit.as_secs());
        }
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_was_there_instead() {
        let look = || Look::<()>::NotYet("it rained".to_owned());
        let error = until(&Signals::default(), "sun", Duration::ZERO, look).unwrap_err().to_string();
        assert!(error.contains("sun") && error.contains("it rained"), "{error}");
    }

    #[test]
    fn ends_at_once_when_it_cannot_come() {
        let look = || Look::<()>::Never("night".to_owned());
        assert!(until(&Signals::default(), "sun", Duration::from_secs(60), look).is_err());
    }

    #[test]
    fn looks_again() {
        let mut looks = 0;
        let look = || {
            looks += 1;
            if looks == 3 { Look::Done(looks) } else { Look::NotYet(String::new()) }
        };
        assert_eq!(until(&Signals::default(), "three", Duration::from_secs(60), look).unwrap().0, 3);
    }
}
