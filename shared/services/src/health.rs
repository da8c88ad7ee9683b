//! From results of checks to healthy or not: thresholds, so that one lost packet withdraws no route.

/// How many results in a row it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Successes that make it healthy again.
    pub rise: u32,
    /// Failures that make it unhealthy.
    pub fall: u32,
}

/// The health of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Health {
    thresholds: Thresholds,
    /// Nothing is known yet after a start.
    good: Option<bool>,
    /// Results in a row that speak against it.
    against: u32,
}

impl Health {
    pub(crate) fn new(thresholds: Thresholds) -> Self {
        Health { thresholds, good: None, against: 0 }
    }

    /// After a start: the first success makes it healthy.
    pub(crate) fn reset(&mut self) {
        (self.good, self.against) = (None, 0);
    }

    pub(crate) fn good(&self) -> Option<bool> {
        self.good
    }

    /// Takes a result.
    pub(crate) fn result(&mut self, success: bool) {
        if self.good == Some(success) {
            self.against = 0;
            return;
        }
        self.against = self.against.saturating_add(1);
        let needed = match (self.good, success) {
            (None, true) => 1,
            (_, true) => self.thresholds.rise,
            (_, false) => self.thresholds.fall,
        };
        if self.against >= needed {
            (self.good, self.against) = (Some(success), 0);
        } else if self.good.is_none() && success {
            self.against = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(results: &str) -> Option<bool> {
        let mut health = Health::new(Thresholds { rise: 2, fall: 3 });
        results.chars().for_each(|r| health.result(r == '+'));
        health.good()
    }

    #[test]
    fn thresholds_count_results_in_a_row() {
        assert_eq!(after(""), None);
        assert_eq!(after("+"), Some(true));
        assert_eq!(after("--"), None);
        assert_eq!(after("--+"), Some(true));
        assert_eq!(after("---"), Some(false));
        assert_eq!(after("+--"), Some(true));
        assert_eq!(after("+--+--"), Some(true), "a success between begins the count anew");
        assert_eq!(after("+---"), Some(false));
        assert_eq!(after("---+"), Some(false));
        assert_eq!(after("---+-+"), Some(false), "so does a failure");
        assert_eq!(after("---++"), Some(true));
    }

    #[test]
    fn a_start_forgets() {
        let mut health = Health::new(Thresholds { rise: 5, fall: 1 });
        health.result(false);
        assert_eq!(health.good(), Some(false));
        health.reset();
        health.result(true);
        assert_eq!(health.good(), Some(true));
    }
}
