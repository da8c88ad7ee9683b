//! Wrong versions of the core, to prove that the simulator finds what is wrong.
//!
//! A mutant is one line in `mutants!` and one place in `control`, `route-table`, `policy` or `peering` that asks
//! `mutant!(ItsName)`. Without the feature `mutants` of those crates that is the word `false`: no branch, no byte and
//! not even this crate is in the product. With it, the choice is one of the running thread.
//!
//! `cargo xtask sim --mutants` runs every mutant over random networks until a check finds it.

use std::cell::Cell;

macro_rules! mutants {
    ($($name:ident, $kind:ident, $says:literal;)*) => {
        /// A wrong version.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mutant {
            $(#[doc = $says] $name,)*
        }

        /// All of them.
        pub const ALL: &[Mutant] = &[$(Mutant::$name),*];

        impl Mutant {
            /// Its name on the command line.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Mutant::$name => stringify!($name),)*
                }
            }

            /// What part of the core it spoils.
            #[must_use]
            pub fn kind(self) -> Kind {
                match self {
                    $(Mutant::$name => Kind::$kind,)*
                }
            }

            /// What it does wrong.
            #[must_use]
            pub fn says(self) -> &'static str {
                match self {
                    $(Mutant::$name => $says,)*
                }
            }
        }
    };
}

/// Parts of the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Which path is best.
    Decision,
    /// What neighbours hear.
    Export,
    /// What has passed here already.
    LoopCheck,
    /// What is no longer announced.
    Withdraw,
    /// What outlives its session.
    Stale,
    /// What is told again.
    Refresh,
    /// What is too much.
    Limits,
    /// Who has heard what.
    Cursor,
    /// What goes over the whole table in pieces.
    Walk,
}

impl Kind {
    /// In a word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Decision => "decision",
            Kind::Export => "export",
            Kind::LoopCheck => "loop check",
            Kind::Withdraw => "withdraw",
            Kind::Stale => "stale",
            Kind::Refresh => "refresh",
            Kind::Limits => "limits",
            Kind::Cursor => "cursor",
            Kind::Walk => "walk",
        }
    }
}

mutants! {
    CostUpside, Decision, "Higher cost is better.";
    HealthIgnored, Decision, "A route to a service that fails its checks may be used.";
    HighestNeighbour, Decision, "Of equal paths the neighbour of the highest name has the best.";
    IneligibleChosen, Decision, "What may not be used is the best where there is nothing else.";
    OvertakenChosen, Decision, "A path that one of its nodes has given up may be the best.";
    NextForgotten, Decision, "The path that was best so far is not the next best when a better one is found.";
    StaleMarkUnread, Decision, "What a neighbour marks as long-lived stale ranks as if it were fresh.";

    AttributesUntold, Export, "Other attributes of the same best path are not told.";
    ImportSetUntold, Export, "What an import rule sets of cost and tags is not told inside.";
    InnerOriginLeaves, Export, "The origin id inside is told across the border.";
    LastRuleWins, Export, "The last rule that speaks of a route decides, not the first.";
    LeakToPeers, Export, "What is for customers only goes to peers too.";
    LocalPrefLeaves, Export, "local_pref is told across the border.";
    PauseBeginsAnew, Export, "With each better way the pause before it is told begins anew.";
    PauseEndless, Export, "The pause before better news never ends.";
    NeedUnasked, Export, "What takes the place of a lost way is withheld from neighbours that have no other, too.";
    PausedForgotten, Export, "Better news that waited is not told when the pause is over.";
    NobodyMovesUp, Export, "A way that another organisation was not told of stays unsaid when one that it was told of goes.";
    OriginsUnbounded, Export, "Another organisation is told all ways to a service of a third.";
    WithheldForEver, Export, "A way that is withheld is never told.";
    BetterWithheld, Export, "A better way that comes while one is withheld is withheld as well.";
    BorderWayWithheld, Export, "A way straight over a border that takes the place of a lost one is withheld, too.";
    EndMovesOn, Export, "Each further loss withholds a way for 10 s more, without an end.";
    FewWithheld, Export, "A way is withheld where only one or two neighbours have ways, too.";
    FirstDueTellsAll, Export, "With the first withheld way that is due all others are told.";
    FirstLossCounts, Export, "A way is withheld for 10 s after the first loss, whatever is lost meanwhile.";
    KeyStaysWithheld, Export, "What is withheld stays so when the last way of its key goes.";
    NeedAskedOnce, Export, "Whether a neighbour needs a withheld way is not asked again when another one is lost.";
    NewInterestWaits, Export, "Who wants something else now hears of what is withheld no sooner.";
    NewSessionWaits, Export, "With a new session inside, what is withheld stays so.";
    UnwantedNeeded, Export, "Who does not want a service counts as one that needs a way to it.";
    WithheldFromAll, Export, "What is withheld inside is withheld from other organisations, too.";
    MarkUnset, Export, "Customers and peers are told routes without the only-to-customer mark.";

    ComesBackSent, LoopCheck, "A route is told to an organisation that is in its path.";
    LoopedIgnored, LoopCheck, "A looped announcement leaves in place what its neighbour told before.";
    NoInnerLoopCheck, LoopCheck, "What has passed this node is taken in all the same.";
    NodePathForgets, LoopCheck, "node_path holds the last node alone.";
    OnlyHomeLoops, LoopCheck, "Only at its home does a route count as looped.";
    OwnOrgTaken, LoopCheck, "What has passed this organisation is taken in all the same.";

    BadNewsPauses, Withdraw, "A way that was told and is gone may wait as better news does, if there is another.";
    DetourFalls, Withdraw, "Who took back a way around counts as one that has others, as who lost a way straight to the service's home.";
    DetourWithheld, Withdraw, "What takes the place of a lost way around is withheld, too.";
    BorderFallsNot, Withdraw, "Who took back a way straight over a border counts as one that lost a way around.";
    BorderLossTold, Withdraw, "What takes the place of a lost way straight over a border is told at once.";
    DetourLossWaits, Withdraw, "When a neighbour takes back a way around, what is withheld stays so.";
    FallenForEver, Withdraw, "Who took back its way once counts as one that has others, however long ago it was.";
    NumberUntold, Withdraw, "What is taken back for a withheld way does not say that older words are void.";
    NewsForEver, Withdraw, "News of what is overtaken counts for routes that come at any time after it.";
    NewsFromOutside, Withdraw, "News that another organisation tells of nodes is believed.";
    OlderNewsCounts, Withdraw, "News that comes late takes the place of newer news.";
    OwnNewsBelieved, Withdraw, "What others tell of this node's own words is believed.";
    RunsCompared, Withdraw, "News of one run of a node voids what it says in another.";
    OvertakenStands, Withdraw, "A way that was overtaken counts as one that was left for a better one.";
    StaleStands, Withdraw, "A way whose session was lost counts as one that was left for a better one.";
    BoundForEver, Withdraw, "A route that is still overtaken when its time is over is never looked at again.";
    OwnEchoCounts, Withdraw, "A way that came back to this node keeps others overtaken.";
    FallenForgotten, Withdraw, "Who took back its way a moment ago counts as one that never had any.";
    NothingWithheld, Withdraw, "What takes the place of a lost way is told at once, whoever has ways of its own.";
    WithheldStands, Withdraw, "A lost way is not taken back while what takes its place is withheld.";
    NewsUntold, Withdraw, "Neighbours are not told whose words are overtaken.";
    NewsUnheard, Withdraw, "News of what is overtaken is not listened to.";
    OvertakenForEver, Withdraw, "A route that was overtaken stays so while its neighbour says nothing else.";
    GrantStays, Withdraw, "Another organisation may go on using what it was told and is told no more.";
    LastPathUntold, Withdraw, "When the last path of a key is gone nobody is told.";
    MalformedStays, Withdraw, "Attributes that cannot be read leave in place what was told before.";
    SplitHorizonUntold, Withdraw, "Who has the best path now does not hear that it must forget ours.";
    WithdrawsBest, Withdraw, "A withdrawal takes the best path away, whoever sent it.";

    FailClosedStays, Stale, "A fail-closed service outlives the restart time as others do.";
    GenerationStays, Stale, "A lost session leaves its routes confirmed.";
    LostPathStays, Stale, "A route whose tunnel is gone may still be used.";
    SameUnconfirmed, Stale, "The same route told again after a loss does not count as confirmed.";
    ShutdownKeeps, Stale, "The routes of a node that stops in order are kept as if it were lost.";
    StaleForEver, Stale, "Long-lived stale routes are never flushed.";
    StaleMarkUntold, Stale, "Long-lived stale routes are told without their mark.";

    BeginSameGeneration, Refresh, "The begin of a refresh leaves all routes confirmed.";
    EndSweepsNothing, Refresh, "The end of a refresh leaves in place what was not confirmed.";
    OwnRoutesSummed, Refresh, "The digest that a neighbour is told counts its own routes.";
    RetellSkips, Refresh, "In a refresh the route that did not fit into a frame is not in the next.";
    WithdrawalUnsummed, Refresh, "A withdrawal leaves the digest of what is held as it was.";

    FreedUncounted, Limits, "Withdrawn routes count against the limit of routes.";
    OldBytesStay, Limits, "Replaced attributes count against the limit of bytes.";
    OneTooMany, Limits, "One route more than the limit is taken.";
    RefusalUntold, Limits, "Who is refused a route is not told.";
    RefusedStays, Limits, "A refused announcement leaves in place what was told before.";
    ReplacementRefused, Limits, "At the limit a known route is refused as if it were new.";

    BornLater, Cursor, "Who heard a key for the first time and nothing since does not hear its withdrawal.";
    CoalescedLost, Cursor, "A change and a withdrawal that nobody has heard yet cancel each other out.";
    EndOfRibFirst, Cursor, "END_OF_RIB goes out before the table.";
    FastestSweeps, Cursor, "A withdrawal is forgotten when the first has heard it.";
    FullFrameSkips, Cursor, "The change that did not fit into a frame is passed over.";
    MovedOnce, Cursor, "A second change of its own route hides from a neighbour that it must forget ours.";
    WithdrawalUnheard, Cursor, "A withdrawal is not remembered for those who have yet to hear it.";

    AheadUnjudged, Walk, "A service that changes before the walk has come to it is told as the rules of before let it in.";
    AnewNotFromBegin, Walk, "Rules that change again during the walk are in force only for what it has yet to come to.";
    FirstPieceAlone, Walk, "Other rules are in force for the first piece of the table alone.";
    OldRulesTold, Walk, "What was announced under the rules of before is still sent to those who have not heard it.";
    PieceSkips, Walk, "A walk passes over the key with which its next piece begins.";
    RemovedStays, Walk, "A neighbour that is removed is not forgotten with the last of its routes.";
    SweepStops, Walk, "Of what a neighbour did not tell again only the first piece goes.";
    SweepTakesTold, Walk, "A sweep that is not at its end takes what the session that is lost meanwhile has told.";
    TableNotAwaited, Walk, "END_OF_RIB does not wait for the table of a new group.";
    UnmarkedBehind, Walk, "A node that begins to drain marks the first piece of what it announces alone.";
    WaitingForgotten, Walk, "A new group that waits for another walk never gets one of its own.";
}

thread_local! {
    static CHOSEN: Cell<Option<Mutant>> = const { Cell::new(None) };
}

/// Makes everything on this thread run with a mutant, or with none.
pub fn choose(mutant: Option<Mutant>) {
    CHOSEN.set(mutant);
}

/// Whether this mutant was chosen.
#[must_use]
pub fn is(mutant: Mutant) -> bool {
    CHOSEN.get() == Some(mutant)
}

/// The mutant of this name.
#[must_use]
pub fn find(name: &str) -> Option<Mutant> {
    ALL.iter().copied().find(|mutant| mutant.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_is_one_of_the_thread() {
        let first = ALL[0];
        choose(Some(first));
        assert!(is(first) && !is(ALL[1]));
        std::thread::scope(|scope| {
            scope.spawn(|| assert!(!is(first)));
        });
        choose(None);
        assert!(!is(first));
        assert_eq!(find(first.name()), Some(first));
        assert_eq!(find("none of them"), None);
    }
}
