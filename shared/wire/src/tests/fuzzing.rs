//! The entry points of `fuzz.rs` over the corpus and over seeded random bytes, mutations and near-misses.
//!
//! `WIRE_FUZZ_INPUTS` and `WIRE_FUZZ_SEED` make a longer or another run. A failure prints the input's hex;
//! put it into `fuzz/corpus/<entry>` to keep it. `UPDATE_GOLDEN=1` writes seeds that are missing.

use std::path::{Path, PathBuf};
use std::string::{String, ToString};
use std::vec::Vec;

use super::golden::{frames, may_write};
use super::kit::{attr, body, entry, key, names, post};
use crate::attr::kind;
use crate::{Announced, HEADER, Update, fuzz};

type Entry = (&'static str, fn(&[u8]));

const ENTRIES: [Entry; 4] = [
    ("frames", fuzz::fuzz_frames),
    ("body", fuzz::fuzz_body),
    ("update", fuzz::fuzz_update),
    ("attrs", fuzz::fuzz_attrs),
];

/// Inputs of one ordinary run, over all entries.
const INPUTS: usize = 200_000;
const SEED: u64 = 0x0c47_a1f5;

/// SplitMix64: small, seeded, the same everywhere.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`; 0 when `n` is 0.
    fn below(&mut self, n: usize) -> usize {
        (self.next() % (n.max(1) as u64)) as usize
    }

    fn bytes(&mut self, max: usize) -> Vec<u8> {
        let len = self.below(max + 1);
        (0..len).map(|_| self.next() as u8).collect()
    }

    fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// A few small changes, as a broken or hostile sender might make them.
fn mutate(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    const TELLING: [u8; 12] = [0, 1, 2, 3, 0x0c, 0x0d, 0x3f, 0x7f, 0x80, 0x81, 0xfe, 0xff];
    for _ in 0..=rng.below(4) {
        let at = rng.below(bytes.len() + 1);
        let end = at + rng.below((bytes.len() - at).min(24) + 1);
        match rng.below(8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => bytes.insert(at, *rng.pick(&TELLING)),
            3 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
            4 => bytes.extend(&other[rng.below(other.len() + 1)..]),
            5 => drop(bytes.splice(at..at, post(&(rng.next() >> rng.below(64))))),
            n => match bytes.get_mut(at) {
                Some(byte) if n == 6 => *byte ^= 1 << rng.below(8),
                Some(byte) => *byte = *rng.pick(&TELLING),
                None => {}
            },
        }
    }
    bytes.truncate(40_000);
}

/// Attributes that are framed well; types, order and values are often wrong.
fn attributes(rng: &mut Rng) -> Vec<u8> {
    let mut code = 0u16;
    let mut out = Vec::new();
    for _ in 0..rng.below(8) {
        code = match rng.below(12) {
            0 => rng.next() as u16,
            1 => code,
            _ => code.saturating_add(1 + rng.below(4) as u16),
        };
        let value = match (code, rng.below(6)) {
            (_, 0) => rng.bytes(40),
            (kind::PROTOCOL | kind::HEALTH, _) => vec![rng.below(6) as u8],
            (kind::ORG_PATH, _) => names(&vec!["acme.example"; rng.below(18)]),
            (kind::NODE_PATH, _) => names(&vec!["edge-1"; rng.below(34)]),
            (kind::TAGS, _) => names(&vec!["acme.example:gold"; rng.below(34)]),
            (kind::ONLY_TO_CUSTOMER, _) => post("acme.example"),
            (kind::SCHEMA_DIGEST, _) => vec![7; 31 + rng.below(3)],
            (kind::ATTESTATION, _) => post(&rng.bytes(258)[..]),
            (..=kind::HEALTH, _) => post(&(rng.next() >> rng.below(64))),
            _ => rng.bytes(600),
        };
        out.extend(attr(code, if code > kind::ATTESTATION { rng.below(4) as u8 | 1 } else { 0 }, &value));
    }
    out
}

/// An UPDATE that is framed well.
fn elements(rng: &mut Rng) -> Vec<u8> {
    const SERVICES: &[&str] = &["inventory.acme.example", "a.b", "not-a-service", "orders.b.example"];
    const ORIGINS: &[&str] = &["edge-1", "o4f1c", "not.an.origin"];
    let announced: Vec<_> = (0..rng.below(5))
        .map(|_| entry(rng.pick::<&str>(SERVICES), rng.pick::<&str>(ORIGINS), &attributes(rng)))
        .collect();
    let withdrawn: Vec<_> =
        (0..rng.below(4)).map(|_| key(rng.pick::<&str>(SERVICES), rng.pick::<&str>(ORIGINS))).collect();
    body(&announced, &withdrawn)
}

/// What the golden files hold for an entry point.
fn bases(entry: &str) -> Vec<(String, Vec<u8>)> {
    let attrs = |body: &[u8]| {
        let announced = Update::read(body).ok()?.announced().find_map(|a| match a {
            Announced::Route(route) => Some(route.raw.to_vec()),
            _ => None,
        })?;
        Some(announced)
    };
    frames()
        .into_iter()
        .filter_map(|(name, frame)| {
            let bytes = match entry {
                "frames" => Some(frame),
                "body" if name.starts_with("update") => None,
                "body" => Some(frame[HEADER..].to_vec()),
                _ if !name.starts_with("update") => None,
                "update" => Some(frame[HEADER..].to_vec()),
                _ => attrs(&frame[HEADER..]),
            }?;
            Some((name.to_string(), bytes))
        })
        .collect()
}

/// The seeds that stand in the corpus: golden bytes, and mutations of them.
fn seeds(entry: &str) -> Vec<(String, Vec<u8>)> {
    let bases = bases(entry);
    let mut rng = Rng(SEED);
    let mut seeds = bases.clone();
    for n in 0..20usize.saturating_sub(bases.len()).max(6) {
        let (name, mut bytes) = bases[n % bases.len()].clone();
        mutate(&mut rng, &mut bytes, &bases[(n * 7 + 3) % bases.len()].1);
        seeds.push((format!("{name}-mutated-{n}"), bytes));
    }
    seeds
}

fn corpus(entry: &str) -> Vec<(String, Vec<u8>)> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(entry);
    if may_write() {
        std::fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in seeds(entry) {
            let path = folder.join(name);
            if !path.exists() {
                std::fs::write(path, bytes).unwrap();
            }
        }
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|e| {
            panic!("{}: {e}; UPDATE_GOLDEN=1 writes seeds that are missing", folder.display())
        })
        .map(|item| item.unwrap().path())
        .collect();
    files.sort();
    files.into_iter().map(|p| (p.display().to_string(), std::fs::read(&p).unwrap())).collect()
}

/// Prints the input when the run panics.
struct Shown<'a>(&'a str, &'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let hex: String = self.1.iter().map(|b| format!("{b:02x}")).collect();
            std::eprintln!("{} fails with the input {hex}", self.0);
        }
    }
}

fn run(name: &str, entry: fn(&[u8]), bytes: &[u8]) {
    let _shown = Shown(name, bytes);
    entry(bytes);
}

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

#[test]
fn the_corpus_is_taken() {
    for (name, entry) in ENTRIES {
        let corpus = corpus(name);
        assert!(corpus.len() >= 12, "{name} has only {} seeds", corpus.len());
        for (file, bytes) in corpus {
            run(&file, entry, &bytes);
        }
    }
}

fn hammer(which: usize) {
    let (name, entry) = ENTRIES[which];
    let bases = bases(name);
    let inputs = setting("WIRE_FUZZ_INPUTS", INPUTS).div_ceil(ENTRIES.len());
    let mut rng = Rng(setting("WIRE_FUZZ_SEED", SEED) ^ ((which as u64) << 32));
    for n in 0..inputs {
        let mut bytes = match n % 4 {
            0 => rng.bytes(256),
            1 | 2 => rng.pick(&bases).1.clone(),
            _ if name == "attrs" => attributes(&mut rng),
            _ if name == "update" => elements(&mut rng),
            _ => [&rng.pick(&bases).1[..], &rng.pick(&bases).1].concat(),
        };
        // The structured ones are left whole every other time: their framing is sound, their content is not.
        if n % 8 != 3 {
            let other = &rng.pick(&bases).1;
            mutate(&mut rng, &mut bytes, other);
        }
        if name == "frames" && n % 2 == 1 && bytes.len() >= HEADER {
            let len = u16::try_from(bytes.len() - HEADER).unwrap_or(u16::MAX).to_be_bytes();
            bytes[2..HEADER].copy_from_slice(&len);
        }
        run(name, entry, &bytes);
    }
}

#[test]
fn any_frames_are_taken() {
    hammer(0);
}

#[test]
fn any_body_is_taken() {
    hammer(1);
}

#[test]
fn any_update_is_taken() {
    hammer(2);
}

#[test]
fn any_attributes_are_taken() {
    hammer(3);
}

#[test]
fn the_inputs_reach_deep() {
    let mut rng = Rng(SEED);
    let (mut routes, mut malformed, mut unreadable) = (0, 0, 0);
    for _ in 0..1_000 {
        let bytes = elements(&mut rng);
        for element in Update::read(&bytes).unwrap().announced() {
            match element {
                Announced::Route(_) => routes += 1,
                Announced::Malformed { .. } => malformed += 1,
                Announced::NoKey => unreadable += 1,
            }
        }
    }
    assert!(routes > 100 && malformed > 100 && unreadable > 100, "{routes} {malformed} {unreadable}");
}
