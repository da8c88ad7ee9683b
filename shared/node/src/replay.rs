//! Replay of a recording, of either build. Only the cloud binary has the command: it is work for a desk, and the
//! table that grows and the reader of events would be a good part of a board's binary.
//!
//! Lines are read one at a time, so a gigabyte of them takes the memory of the node's tables. A node that was killed
//! leaves the last line in pieces: what comes before it is replayed, and it is said.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Take};
use std::path::{Path, PathBuf};

use catalyst_config::files;
use catalyst_control::Core;
use catalyst_control::record::{Header, Record, SCHEMA};
use catalyst_route_table::{Heap, Limits as TableLimits};

use crate::admin::Answer;
use crate::error::NodeError;
use crate::limits::Limits;
use crate::output;
use crate::record::Checkpoint;

/// How a replay went.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
struct Outcome {
    /// Events that were replayed.
    events: usize,
    /// How often the recording said what the state was; it was that each time.
    checkpoints: usize,
    /// After how many events it said so last.
    checked: usize,
    /// Whether the last line is whole. It is not where the node was killed while it wrote.
    whole: bool,
    /// The state at the end, see `Core::digest`.
    digest: String,
}

/// Runs a recording through a fresh core; prints its routes and the digest of its state. Where the recording says what
/// the state was, it must be the same again.
///
/// # Errors
/// Says which line does not fit, or after how many events the state was another.
pub fn replay(file: &Path, json: bool) -> Result<(), NodeError> {
    let (core, outcome) = run(file)?;
    if json {
        output::document(&serde_json::to_string(&outcome).unwrap_or_default());
        return Ok(());
    }
    output::text(&Answer::Routes(core.state().route_rows()), None);
    if !outcome.whole {
        output::line(
            "the last line of the recording is not whole and was left out: the node was killed there",
        );
    }
    output::line(&format!(
        "{} events, state digest {}{}",
        outcome.events,
        outcome.digest,
        match (outcome.checkpoints, outcome.events - outcome.checked) {
            (0, _) => "; the recording does not say which it was".to_owned(),
            (_, 0) => ", as recorded".to_owned(),
            (_, after) => format!("; it was as recorded {after} events before"),
        }
    ));
    Ok(())
}

fn run(path: &Path) -> Result<(Core<Heap>, Outcome), NodeError> {
    let mut lines = Lines::open(path)?;
    let header = lines.header()?;
    let table = header.table.map_or(TableLimits::CLOUD, TableLimits::from);
    let mut core =
        Core::new(header.settings, Heap::new(table)).map_err(|e| NodeError::Failed(e.to_string()))?;
    let mut outcome = Outcome { events: 0, checkpoints: 0, checked: 0, whole: true, digest: String::new() };
    while let Some(line) = lines.next()? {
        match line {
            Line::Event(record) => {
                core.handle(&record.event, record.now);
                while core.poll_effect().is_some() {}
                while core.poll_transmit().is_some() {}
                outcome.events += 1;
            }
            Line::Checkpoint(told) => {
                let found = hex(&core.digest());
                if found != told.digest {
                    return Err(NodeError::Failed(format!(
                        "{}:{}: after {} events the state was {}, and the replay comes to {found}; replay it with the \
                         version that wrote it, and if that does not differ, report it with the file",
                        path.display(),
                        lines.number,
                        outcome.events,
                        told.digest,
                    )));
                }
                outcome.checkpoints += 1;
                outcome.checked = outcome.events;
            }
        }
    }
    outcome.whole = lines.whole;
    outcome.digest = hex(&core.digest());
    Ok((core, outcome))
}

fn hex(digest: &[u8; 32]) -> String {
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

/// A line of a recording after its first.
enum Line {
    Event(Box<Record>),
    Checkpoint(Checkpoint),
}

/// The lines of a recording, one at a time.
struct Lines {
    path: PathBuf,
    reader: BufReader<Take<File>>,
    line: Vec<u8>,
    number: usize,
    whole: bool,
}

impl Lines {
    fn open(path: &Path) -> Result<Lines, NodeError> {
        let file = files::open(path).map_err(|e| unreadable(path, &e))?;
        // One more, to know a longer one from one that is as long.
        let reader = BufReader::with_capacity(Limits::RECORD_BUFFER, file.take(Limits::RECORDING as u64 + 1));
        Ok(Lines { path: path.to_owned(), reader, line: Vec::new(), number: 0, whole: true })
    }

    /// The next line that is not empty, without its end; false after the last.
    fn read(&mut self) -> Result<bool, NodeError> {
        self.line.clear();
        self.number += 1;
        self.reader.read_until(b'\n', &mut self.line).map_err(|e| unreadable(&self.path, &e))?;
        if self.reader.get_ref().limit() == 0 {
            let most = Limits::RECORDING;
            return Err(NodeError::Failed(format!(
                "cannot read {}: more than {most} bytes, the most for a recording",
                self.path.display()
            )));
        }
        Ok(!self.line.is_empty())
    }

    fn header(&mut self) -> Result<Header, NodeError> {
        /// What every version begins with, whatever else it says.
        #[derive(serde::Deserialize)]
        struct Version {
            schema: u32,
        }
        if !self.read()? {
            return Err(self.bad("the file is empty"));
        }
        match serde_json::from_slice::<Version>(&self.line) {
            Ok(Version { schema: SCHEMA }) => {}
            Ok(Version { schema }) => {
                return Err(NodeError::Input(format!(
                    "{}: the recording has schema {schema}, and this version reads {SCHEMA}; replay it with the version \
                     that wrote it",
                    self.path.display()
                )));
            }
            Err(error) => return Err(self.bad(error)),
        }
        serde_json::from_slice(&self.line).map_err(|e| self.bad(e))
    }

    fn next(&mut self) -> Result<Option<Line>, NodeError> {
        if !self.read()? {
            return Ok(None);
        }
        let read = match self.line.starts_with(b"{\"digest\"") {
            true => serde_json::from_slice(&self.line).map(Line::Checkpoint),
            false => serde_json::from_slice(&self.line).map(Line::Event),
        };
        match read {
            Ok(line) => Ok(Some(line)),
            Err(_) if self.line.last() != Some(&b'\n') => {
                self.whole = false;
                Ok(None)
            }
            Err(error) => Err(self.bad(error)),
        }
    }

    fn bad(&self, why: impl std::fmt::Display) -> NodeError {
        let (path, line) = (self.path.display(), self.number);
        // Each line is a document of its own to its reader.
        let why = why.to_string().replace(" at line 1 column ", " at column ");
        NodeError::Input(format!("{path}:{line}: not a line of a recording: {why}"))
    }
}

fn unreadable(path: &Path, why: &std::io::Error) -> NodeError {
    NodeError::Failed(format!("cannot read {}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalyst_control::{Event, LocalService, Now, Settings};
    use catalyst_route_table::Store as _;

    use crate::error::Exit;
    use crate::record::Recorder;

    fn settings() -> Settings {
        Settings {
            name: "a.acme.example".parse().unwrap(),
            incarnation: 1,
            border_secret: *b"thirty-two bytes of a secret ...",
            limits: catalyst_control::Limits::CLOUD,
            mesh_address: String::new(),
            stale_max_ms: 0,
            flap: catalyst_control::Flap::default(),
        }
    }

    fn service(n: usize) -> Event {
        Event::ServiceUp(LocalService {
            label: format!("s{n}").parse().unwrap(),
            protocol: "tcp".parse().unwrap(),
            cost: 0,
            weight: 100,
            tags: Vec::new(),
            healthy: true,
            fail_closed: false,
        })
    }

    /// A recording of so many services that come up, with a checkpoint after each of these numbers of them.
    fn recorded(services: usize, checkpoints: &[usize]) -> (tempfile::TempDir, PathBuf) {
        recorded_of(TableLimits::CLOUD, services, checkpoints)
    }

    fn recorded_of(
        table: TableLimits,
        services: usize,
        checkpoints: &[usize],
    ) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("recording.jsonl");
        let mut recorder = Recorder::create(&path, &settings(), table).unwrap();
        let mut core = Core::new(settings(), Heap::new(table)).unwrap();
        for n in 1..=services {
            let now = Now::mono(n as u64);
            recorder.event(&service(n), now);
            core.handle(&service(n), now);
            if checkpoints.contains(&n) {
                recorder.checkpoint(&core.digest());
            }
        }
        recorder.flush();
        (dir, path)
    }

    fn edited(path: &Path, edit: impl Fn(String) -> String) {
        std::fs::write(path, edit(std::fs::read_to_string(path).unwrap())).unwrap();
    }

    #[track_caller]
    fn refused(path: &Path) -> (Exit, String) {
        let error = run(path).map(|(_, outcome)| outcome).unwrap_err();
        (error.exit(), error.to_string())
    }

    #[test]
    fn all_checkpoints_are_looked_at_and_the_last_is_told() {
        let (_dir, path) = recorded(5, &[2, 4]);
        let (core, outcome) = run(&path).unwrap();
        let digest = hex(&core.digest());
        assert_eq!(outcome, Outcome { events: 5, checkpoints: 2, checked: 4, whole: true, digest });
        assert_eq!(core.state().route_rows().len(), 5);
        // One event of before the first is another.
        edited(&path, |text| text.replacen("\"s1\"", "\"other\"", 1));
        let (exit, said) = refused(&path);
        assert!(said.contains(":4: after 2 events the state was"), "{said}");
        assert_eq!(exit, Exit::Failed);
    }

    #[test]
    fn what_a_full_table_refused_is_refused_again() {
        let (_dir, path) = recorded_of(TableLimits { routes: 4, ..TableLimits::CLOUD }, 6, &[6]);
        let (core, outcome) = run(&path).unwrap();
        assert_eq!((outcome.checkpoints, core.state().route_rows().len()), (1, 4));
        // A recording that does not say it is one of a table that holds as much as any.
        edited(&path, |text| {
            let (head, rest) = text.split_once(",\"table\":").unwrap();
            format!("{head}{}", rest.split_once('}').unwrap().1)
        });
        assert!(refused(&path).1.contains("after 6 events the state was"));
    }

    #[test]
    fn wherever_it_was_cut_what_is_whole_is_replayed() {
        let (_dir, path) = recorded(3, &[2]);
        let all = std::fs::read(&path).unwrap();
        let lines: Vec<usize> = (1..=all.len()).filter(|at| all[at - 1] == b'\n').collect();
        for cut in 1..=all.len() {
            std::fs::write(&path, &all[..cut]).unwrap();
            // A line is whole without its end.
            let whole = lines.iter().filter(|end| **end <= cut + 1).count();
            match (whole, run(&path)) {
                (0, result) => {
                    let error = result.map(|(_, outcome)| outcome).unwrap_err();
                    assert!(error.to_string().contains(":1: not a line of a recording"), "{cut}: {error}");
                }
                (_, Err(error)) => panic!("cut after {cut}: {error}"),
                (whole, Ok((_, outcome))) => {
                    let events = [0, 1, 2, 2, 3][whole - 1];
                    assert_eq!(outcome.events, events, "{cut}");
                    assert_eq!(
                        outcome.whole,
                        lines.iter().any(|end| *end == cut || *end == cut + 1),
                        "{cut}"
                    );
                    assert_eq!(outcome.checkpoints, usize::from(whole >= 4), "{cut}");
                }
            }
        }
    }

    #[test]
    fn what_is_damaged_in_the_middle_is_refused_with_its_line() {
        for (from, to) in [("\"s2\"", "\"S 2\""), ("\"label\":\"s2\"", ""), ("ServiceUp", "ServiceSideways")]
        {
            let (_dir, path) = recorded(3, &[]);
            edited(&path, |text| {
                let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
                lines[2] = lines[2].replace(from, to);
                lines.join("\n") + "\n"
            });
            let (exit, said) = refused(&path);
            assert!(said.contains("recording.jsonl:3: not a line of a recording"), "{said}");
            assert_eq!(exit, Exit::Config);
        }
        // A byte that is no text, an empty line, a file of nothing.
        let (_dir, path) = recorded(2, &[]);
        let mut bytes = std::fs::read(&path).unwrap();
        let at = bytes.iter().position(|b| *b == b'\n').unwrap();
        bytes[at + 5] = 0xff;
        std::fs::write(&path, &bytes).unwrap();
        assert!(refused(&path).1.contains(":2: not a line"));
        std::fs::write(&path, "").unwrap();
        assert_eq!(refused(&path).0, Exit::Config);
    }

    #[test]
    fn another_schema_is_refused_whatever_else_it_says() {
        let (_dir, path) = recorded(1, &[]);
        edited(&path, |_| "{\"schema\":77,\"of\":\"another kind\"}\n".to_owned());
        let (exit, said) = refused(&path);
        assert_eq!(exit, Exit::Config);
        assert!(
            said.contains("has schema 77, and this version reads")
                && said.contains("the version that wrote it"),
            "{said}"
        );
    }

    #[test]
    fn what_is_not_there_or_no_file_cannot_be_read() {
        let dir = tempfile::tempdir().unwrap();
        for path in [dir.path().join("nothing"), dir.path().to_owned()] {
            let (exit, said) = refused(&path);
            assert_eq!(exit, Exit::Failed);
            assert!(said.starts_with("cannot read"), "{said}");
        }
    }

    #[test]
    fn a_recording_says_what_the_state_is_now_and_then() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("recording.jsonl");
        let mut recorder = Recorder::create(&path, &settings(), TableLimits::CLOUD).unwrap();
        let mut core = Core::new(settings(), Heap::new(TableLimits::CLOUD)).unwrap();
        for n in 1..=2000 {
            let now = Now::mono(n as u64);
            recorder.event(&service(n % 300), now);
            core.handle(&service(n % 300), now);
            if recorder.is_due(core.state().table().store().len()) {
                recorder.checkpoint(&core.digest());
            }
        }
        recorder.flush();
        let (_, outcome) = run(&path).unwrap();
        assert_eq!(outcome.events, 2000);
        // Never more work than events: with 300 routes, one in at least 300 events.
        assert!((3..=7).contains(&outcome.checkpoints), "{outcome:?}");
    }
}
